"""What the node gave to whom: every address, MAC, tap and user number, recorded before it is used.

An allocation is keyed by its owner and purpose, and no two allocations of one kind hold the same value: the database
refuses the second, so that an address given to two servers cannot happen however the callers err. All allocations are
read into memory when the file is opened, before anything is granted. The file and its table are called ``claims``.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Allocation", "Allocations", "AllocationsError", "AlreadyAllocated", "Kind"]

Kind = Literal["address", "attached", "mac", "tap", "user"]
"""What a value is; values are unique within their kind. An address is ``attached`` to the NIC whose own it is, and
belongs to the Services of its group besides."""

_VERSION: Final = 1

_MIGRATIONS: Final = (
    """
    CREATE TABLE claims (
        owner TEXT NOT NULL, purpose TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (owner, purpose), UNIQUE (kind, value)
    ) WITHOUT ROWID;
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
)


class AllocationsError(Exception):
    """The file of allocations cannot be used; the message says why and what to do."""


class AlreadyAllocated(Exception):
    """The value belongs to another allocation.

    Attributes:
        allocation: The allocation that holds it.
    """

    def __init__(self, allocation: Allocation) -> None:
        super().__init__(f"{allocation.kind} {allocation.value} belongs to {allocation.owner} as {allocation.purpose}")
        self.allocation = allocation


@dataclasses.dataclass(frozen=True, slots=True)
class Allocation:
    """One thing that one owner holds.

    Attributes:
        owner: A UID, or ``NAMESPACE/KEY`` for Services that share an address.
        purpose: What for, unique per owner, such as ``guest/4``.
        kind: What the value is.
        value: The address, MAC, tap name or number, as text in its one normal form.
    """

    owner: str
    purpose: str
    kind: Kind
    value: str


class Allocations:
    """The allocations of one installation; used by the one node process of that installation."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it, and read all allocations.

        Args:
            path: The SQLite file; its folder exists.

        Raises:
            AllocationsError: A newer version of this program wrote the file.
        """
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        # An allocation must be on the disk before its value is used, also when the power fails.
        self._database.execute("PRAGMA synchronous = FULL")
        self._migrate(path)
        rows = self._database.execute("SELECT owner, purpose, kind, value FROM claims")
        allocations = [Allocation(*row) for row in rows]
        self._allocations = {(one.owner, one.purpose): one for one in allocations}
        self._holders = {(one.kind, one.value): one for one in allocations}

    def _migrate(self, path: Path) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            self._database.close()
            raise AllocationsError(
                f"{path}: the claims have version {version}, this program knows {_VERSION}: "
                "install the newer program again"
            )
        for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
            self._database.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def all(self) -> list[Allocation]:
        """Return every allocation."""
        return list(self._allocations.values())

    def get(self, owner: str, purpose: str) -> str | None:
        """Return the value that an owner holds for a purpose, None where it holds none."""
        allocation = self._allocations.get((owner, purpose))
        return allocation.value if allocation else None

    def holder(self, kind: Kind, value: str) -> Allocation | None:
        """Return the allocation that holds a value, None where it is free."""
        return self._holders.get((kind, value))

    def values(self, kind: Kind) -> set[str]:
        """Return every value of a kind that is held."""
        return {value for held, value in self._holders if held == kind}

    def take(self, owner: str, purpose: str, kind: Kind, value: str) -> str:
        """Record that an owner holds a value; what it held for this purpose before is freed.

        Returns:
            The value, which is on the disk now.

        Raises:
            AlreadyAllocated: Another allocation holds the value; nothing was changed.
        """
        holder = self._holders.get((kind, value))
        if holder and (holder.owner, holder.purpose) != (owner, purpose):
            raise AlreadyAllocated(holder)
        if holder:
            return value
        allocation = Allocation(owner, purpose, kind, value)
        self._database.execute("REPLACE INTO claims VALUES (?, ?, ?, ?)", dataclasses.astuple(allocation))
        if before := self._allocations.get((owner, purpose)):
            del self._holders[before.kind, before.value]
        self._allocations[owner, purpose] = allocation
        self._holders[kind, value] = allocation
        return value

    def free(self, allocations: Iterable[Allocation]) -> None:
        """Forget allocations; ones that are gone already are no error."""
        for allocation in allocations:
            key = allocation.owner, allocation.purpose
            if self._allocations.get(key) != allocation:
                continue
            self._database.execute("DELETE FROM claims WHERE owner = ? AND purpose = ?", key)
            del self._allocations[key]
            del self._holders[allocation.kind, allocation.value]

    def fact(self, name: str) -> str | None:
        """Return what was remembered under a name, None where nothing was."""
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def remember(self, name: str, value: str | None) -> None:
        """Remember something about the node itself, or forget it (None)."""
        if value is None:
            self._database.execute("DELETE FROM facts WHERE name = ?", (name,))
        elif self.fact(name) != value:
            self._database.execute("REPLACE INTO facts VALUES (?, ?)", (name, value))
