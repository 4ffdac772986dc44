"""Who asks for what of the data plane, so that one owner's change becomes the smallest change in the kernel; pure.

Everything that the data plane puts into the kernel or gives to dnsmasq is an entry: a kind and a key (an element of a
set, a route, a file) with a value. Several owners may ask for one entry, as two Services do that share an address: it
stays until the last of them lets go. Where owners ask for different values, the one who came first is served.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Mapping
from typing import NamedTuple, Protocol

__all__ = ["Delta", "Entries", "Entry", "Ledger", "Owner", "Wanted", "difference"]


class Entry(NamedTuple):
    """What an entry is, and which one.

    Attributes:
        kind: One of the kinds of `virtualserver.fabric.desired.entries`.
        key: What tells it from the others of its kind.
    """

    kind: str
    key: str


class Wanted(Protocol):
    """The entries that somebody asks for, to be looked up one by one."""

    def __contains__(self, entry: Entry, /) -> bool:
        """Return whether somebody asks for an entry."""
        ...

    def get(self, entry: Entry, /) -> str | None:
        """Return its value, None where nobody asks for it."""
        ...


class Owner(NamedTuple):
    """Who asks for entries.

    Attributes:
        kind: ``link`` or ``service``.
        uid: A VirtualMachineInstance's, or a Service's.
        nic: Which of the guest's links; ``""`` for a Service.
    """

    kind: str
    uid: str
    nic: str = ""


Entries = Mapping[Entry, str]
"""Entries and their values; ``""`` where the entry's being there is all that it says."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delta:
    """What to change.

    Attributes:
        removed: Entries to take away, and the values they had; an entry that gets another value is in both.
        added: Entries to put there.
    """

    removed: Entries
    added: Entries

    def __len__(self) -> int:
        """Return how many entries change; another value for an entry is one change."""
        return len(self.removed.keys() | self.added.keys())

    def within(self, entries: Container[Entry]) -> Delta:
        """Return what this one changes of some entries."""
        return Delta(
            removed={entry: value for entry, value in self.removed.items() if entry in entries},
            added={entry: value for entry, value in self.added.items() if entry in entries},
        )

    def without(self, other: Delta) -> Delta:
        """Return what this one changes of entries that another one does not touch."""
        touched = other.removed.keys() | other.added.keys()
        return Delta(
            removed={entry: value for entry, value in self.removed.items() if entry not in touched},
            added={entry: value for entry, value in self.added.items() if entry not in touched},
        )


def difference(actual: Entries, desired: Entries) -> Delta:
    """Return what turns the actual entries into the desired ones."""
    return Delta(
        removed={entry: value for entry, value in actual.items() if desired.get(entry) != value},
        added={entry: value for entry, value in desired.items() if actual.get(entry) != value},
    )


class Ledger:
    """The entries that each owner asks for, and so which there should be."""

    def __init__(self, group_of: Callable[[Entry], str] = lambda _: "") -> None:
        """Nobody asks for anything.

        Args:
            group_of: Returns the group in which an entry is found without a look at all others, ``""`` for none.
        """
        self._of_owner: dict[Owner, Entries] = {}
        self._claims: dict[Entry, dict[Owner, str]] = {}
        self._group_of = group_of
        self._groups: dict[str, set[Entry]] = {}

    def entries(self) -> dict[Entry, str]:
        """Return every entry that somebody asks for, with the value of the owner who came first."""
        return {entry: next(iter(claims.values())) for entry, claims in self._claims.items()}

    def __contains__(self, entry: Entry) -> bool:
        """Return whether somebody asks for an entry."""
        return entry in self._claims

    def get(self, entry: Entry) -> str | None:
        """Return the value of an entry, None where nobody asks for it."""
        return next(iter(self._claims[entry].values())) if entry in self._claims else None

    def group(self, name: str) -> frozenset[Entry]:
        """Return the entries of a group that somebody asks for."""
        return frozenset(self._groups.get(name, ()))

    def owners(self) -> set[Owner]:
        """Return who asks for anything."""
        return set(self._of_owner)

    def of(self, owner: Owner) -> Entries:
        """Return what one owner asks for, ``{}`` for nothing."""
        return self._of_owner.get(owner, {})

    def put(self, owner: Owner, entries: Entries) -> Delta:
        """Replace what one owner asks for, ``{}`` for nothing, and return what that changes.

        The work grows with the owner's own entries, never with those of others.
        """
        before = self._of_owner.pop(owner, {})
        touched = before.keys() | entries.keys()
        old = self._values(touched)
        for entry in before.keys() - entries.keys():
            claims = self._claims[entry]
            del claims[owner]
            if not claims:
                del self._claims[entry]
                self._ungroup(entry)
        for entry, value in entries.items():
            self._claims.setdefault(entry, {})[owner] = value
            if group := self._group_of(entry):
                self._groups.setdefault(group, set()).add(entry)
        if entries:
            self._of_owner[owner] = dict(entries)
        return difference(old, self._values(touched))

    def _ungroup(self, entry: Entry) -> None:
        if group := self._group_of(entry):
            self._groups[group].discard(entry)
            if not self._groups[group]:
                del self._groups[group]

    def _values(self, entries: set[Entry]) -> dict[Entry, str]:
        return {entry: next(iter(self._claims[entry].values())) for entry in entries if entry in self._claims}
