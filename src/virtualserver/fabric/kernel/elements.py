"""From entries to elements of the namespace's sets and maps and back, in the language of nft; pure.

The chains to which elements lead stand with them, as they are not the same for every installation either.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, NamedTuple

from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.ledger import Delta, Entries, Entry
from virtualserver.fabric.kernel import spreading
from virtualserver.fabric.kernel.ruleset import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["SETS", "Set", "chains_again", "elements", "question", "transaction"]


class Set(NamedTuple):
    """Where the elements of a kind of entries are.

    Attributes:
        family: Of the table.
        devices: How many of an element's first fields are interface names, to be quoted.
        several: Whether an entry is several elements, whose last field is in its value.
    """

    family: str
    devices: int
    several: bool = False


SETS: Final[Mapping[str, Set]] = {
    entries.GUARD_MAC: Set("inet", 1),
    entries.GUARD_DHCP: Set("inet", 1),
    entries.GUARD_OWN: Set("inet", 1),
    entries.GUARD_ARP: Set("arp", 1),
    entries.GUARD_FRAME: Set("bridge", 1),
    entries.SELF_PAIR: Set("inet", 2),
    entries.GROUP: Set("inet", 1),
    entries.TENANT: Set("inet", 1),
    **dict.fromkeys(entries.MEMBER.values(), Set("inet", 0)),
    **dict.fromkeys(entries.GUARD_IP.values(), Set("inet", 1)),
    **dict.fromkeys(entries.DIRECT.values(), Set("inet", 0)),
    **dict.fromkeys(entries.ANNOUNCED.values(), Set("inet", 0)),
    **dict.fromkeys((*entries.PUBLISHED.values(), *entries.WITHHELD.values()), Set("inet", 0)),
    **dict.fromkeys((*entries.PUBLISHED_TO.values(), *entries.WITHHELD_TO.values()), Set("inet", 0, several=True)),
    **dict.fromkeys(
        (*entries.FLOATING.values(), *entries.FLOATING_SOURCE.values(), *entries.DECIDED.values()), Set("inet", 0)
    ),
    **dict.fromkeys(entries.FLOATING_TO.values(), Set("inet", 0, several=True)),
    **dict.fromkeys(entries.SPREAD.values(), Set("inet", 0)),
    **dict.fromkeys(entries.SPREAD_TO.values(), Set("inet", 0, several=True)),
    **dict.fromkeys(entries.RESTRICTED.values(), Set("inet", 0)),
    **dict.fromkeys(entries.ADMITTED.values(), Set("inet", 0, several=True)),
}
"""Each set and map by its name, which is that of the kind of entries."""

_TABLE: Final = f"inet {TABLE}"
_DIGITS: Final = {entries.GUARD_DHCP: 12, entries.GUARD_OWN: 8}
"""The kinds of which a field is a number, and how many hexadecimal digits it has."""
_PRINTED: Final = re.compile(
    r"^table (?P<family>\w+) (?P<table>\S+) \{|^\t(?:set|map) (?P<set>\S+) \{|^\t\telements = \{(?P<elements>[^}]*)\}|"
    + spreading.CHAIN,
    re.MULTILINE,
)


def transaction(delta: Delta) -> list[str]:
    """Return the commands that change the elements of a delta, taking away before they add; none where it has none."""
    gone = {entry: value for entry, value in delta.removed.items() if entry not in delta.added}
    return [
        *_commands("delete", delta.removed),
        *spreading.removed(_TABLE, gone),
        *spreading.filled(_TABLE, delta.added),
        *_commands("add", delta.added),
    ]


def chains_again(text: str) -> list[str]:
    """Return the commands that fill the chains which nft prints among our sets and maps anew, as they are."""
    return [*spreading.filled(_TABLE, {entry: value for entry, value in elements(text).items() if value})]


def question(entry: Entry, value: str) -> str:
    """Return the command by which one learns whether the elements of an entry, which has some, are there."""
    return next(_commands("get", {entry: value}))


def elements(text: str) -> dict[Entry, str]:
    """Return the elements that nft prints in our sets and maps, and the chains they lead to, as entries."""
    found: dict[Entry, str] = {}
    several: dict[Entry, list[str]] = {}
    family, kind = "", ""
    for match in _PRINTED.finditer(text):
        if match["table"]:
            family = match["family"] if match["table"] == TABLE else ""
        elif match["set"]:
            kind = match["set"]
        elif match["chain"]:
            if family == "inet":
                found.update([spreading.entry_of(match["chain"], match["body"])])
        elif kind in SETS and SETS[kind].family == family:
            for element in match["elements"].split(","):
                key, _, value = element.strip().partition(" : ")
                if SETS[kind].several:
                    key, _, last = key.rpartition(" . ")
                    several.setdefault(Entry(kind, key), []).append(f"{last} : {value}" if value else last)
                else:
                    found[Entry(kind, _canonical(kind, key))] = value
    return found | {entry: ",".join(sorted(parts, key=_place)) for entry, parts in several.items()}


def _commands(verb: str, changed: Entries) -> Iterator[str]:
    elements_of: dict[str, list[str]] = {}
    for (kind, key), value in changed.items():
        if kind in SETS:
            quoted = _quoted(key, SETS[kind].devices)
            some = elements_of.setdefault(kind, [])
            if SETS[kind].several:
                some += [f"{quoted} . {part}" for part in value.split(",")]
            else:
                some.append(f"{quoted} : {value}" if value else quoted)
    for kind, some in elements_of.items():
        yield f"{verb} element {SETS[kind].family} {TABLE} {kind} {{ {', '.join(some)} }}"


def _quoted(key: str, devices: int) -> str:
    fields = key.split(" . ")
    return " . ".join(f'"{field}"' if index < devices else field for index, field in enumerate(fields))


def _place(part: str) -> tuple[int, str]:
    """Return what sorts the parts of a value as `collapse_addresses` does: by the network that each begins with."""
    network = part.partition(" : ")[0]
    try:
        return int(ip_network(network).network_address), part
    except ValueError:  # somebody else's, to be taken away
        return 0, part


def _canonical(kind: str, key: str) -> str:
    words = key.replace('"', "").split(" . ")
    if kind in _DIGITS:
        words[1] = f"0x{int(words[1], 16):0{_DIGITS[kind]}x}"
    return " . ".join(words)
