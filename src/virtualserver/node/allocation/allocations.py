"""What the node gave to whom: every address, MAC, tap and user number, recorded before it is used.

An allocation is keyed by its owner and purpose, and no two allocations of one kind hold the same value: the database
refuses the second, so that an address given to two servers cannot happen however the callers err. All allocations are
read into memory when the file is opened, before anything is granted. The file and its table are called ``claims``.

Of an address that was given back it is kept who had it last and since when: so it comes back to the same name, and goes
to nobody else for a while, also after a restart.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from pathlib import Path

__all__ = [
    "BALANCER",
    "NOBODY",
    "Allocation",
    "Allocations",
    "AllocationsError",
    "AlreadyAllocated",
    "Claimant",
    "Kind",
    "Release",
    "read",
]

Kind = Literal["address", "attached", "mac", "port", "tap", "user"]
"""What a value is; values are unique within their kind. An address is ``attached`` to the NIC whose own it is, and
belongs to the Services of its group besides. A ``port`` is one of the machine's own address, as ``TCP/443``."""

BALANCER: Final = "load-balancer/"
"""With what the purposes of load balancer addresses, and of ports of the machine's own, begin."""

_VERSION: Final = 3

_REMEMBERED: Final = 1 << 16
"""So many releases are remembered, the latest ones: a /16 of guests' addresses, whatever the size of the pools."""

_MIGRATIONS: Final = (
    """
    CREATE TABLE claims (
        owner TEXT NOT NULL, purpose TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (owner, purpose), UNIQUE (kind, value)
    ) WITHOUT ROWID;
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
    """
    ALTER TABLE claims ADD COLUMN namespace TEXT NOT NULL DEFAULT '';
    ALTER TABLE claims ADD COLUMN name TEXT NOT NULL DEFAULT '';
    CREATE TABLE releases (
        address TEXT PRIMARY KEY, released REAL NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    # From here on ports are recorded too, which a program before would take for addresses that nobody wants.
    "SELECT 1;",
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


class Claimant(NamedTuple):
    """Whom an allocation is for, in words that outlive the owner's UID.

    Attributes:
        namespace: Of the object; ``""`` where an earlier version of this program wrote the allocation.
        name: Its kind and name, such as ``Service web``.
    """

    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        """Return it as people write it, such as ``Service shop/web``."""
        kind, _, name = self.name.rpartition(" ")
        return f"{kind} {self.namespace}/{name}".lstrip()


NOBODY: Final = Claimant()
"""Whom an allocation is for of which an earlier version of this program, or a test, did not say it."""


class Release(NamedTuple):
    """Who gave an address back.

    Attributes:
        released: When, in seconds since the epoch.
        claimant: Whom it was for.
    """

    released: float
    claimant: Claimant


@dataclasses.dataclass(frozen=True, slots=True)
class Allocation:
    """One thing that one owner holds.

    Attributes:
        owner: A UID, or ``NAMESPACE/KEY`` for Services that share an address.
        purpose: What for, unique per owner, such as ``guest/4``.
        kind: What the value is.
        value: The address, MAC, tap name or number, as text in its one normal form.
        claimant: The owner in words.
    """

    owner: str
    purpose: str
    kind: Kind
    value: str
    claimant: Claimant = NOBODY

    @property
    def is_balancer(self) -> bool:
        """Whether it is held for Services, and not for a NIC."""
        return self.purpose.startswith(BALANCER)

    def named_to(self, asker: Claimant, kind: str) -> str:
        """Say who holds it, to somebody who may know it: what is in another namespace is nobody's business.

        Args:
            asker: Who is told.
            kind: What holders are called whose name is not known, or not told.
        """
        if self.claimant.namespace != asker.namespace:
            return f"a {kind} of another namespace"
        return str(self.claimant) if self.claimant.name else f"another {kind}"


class Allocations:
    """The allocations of one installation; used by the one node process of that installation."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Open the file, or make it, and read all allocations.

        Args:
            path: The SQLite file; its folder exists.
            clock: Seconds since the epoch.

        Raises:
            AllocationsError: A newer version of this program wrote the file.
        """
        self._clock = clock
        # Who has which address is not for every user of the host; SQLite's other files get the mode of this one.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            with contextlib.suppress(FileNotFoundError):
                file.chmod(0o600)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        # An allocation must be on the disk before its value is used, also when the power fails.
        self._database.execute("PRAGMA synchronous = FULL")
        self._migrate(path)
        allocations = _allocations(self._database)
        self._allocations = {(one.owner, one.purpose): one for one in allocations}
        self._by_value = {(one.kind, one.value): one for one in allocations}
        rows = self._database.execute("SELECT address, released, namespace, name FROM releases ORDER BY released")
        self._releases = {address: Release(released, Claimant(*claimant)) for address, released, *claimant in rows}

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

    def of_value(self, kind: Kind, value: str) -> Allocation | None:
        """Return the allocation that holds a value, None where it is free."""
        return self._by_value.get((kind, value))

    def values(self, kind: Kind) -> set[str]:
        """Return every value of a kind that is held."""
        return {value for held, value in self._by_value if held == kind}

    def releases(self) -> Mapping[str, Release]:
        """Return who gave back the addresses that are free, by address."""
        return self._releases

    def take(self, owner: str, purpose: str, kind: Kind, value: str, claimant: Claimant = NOBODY) -> str:
        """Record that an owner holds a value; what it held for this purpose before is freed.

        Returns:
            The value, which is on the disk now.

        Raises:
            AlreadyAllocated: Another allocation holds the value; nothing was changed.
        """
        allocation = Allocation(owner, purpose, kind, value, claimant)
        other = self._by_value.get((kind, value))
        if other == allocation:
            return value
        if other and (other.owner, other.purpose) != (owner, purpose):
            raise AlreadyAllocated(other)
        before = self._allocations.get((owner, purpose))
        with self._transaction():
            row = (owner, purpose, kind, value, *claimant)
            self._database.execute("REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?)", row)
            self._database.execute("DELETE FROM releases WHERE address = ?", (value,))
            if before and before.value != value:
                self._record_release(before)
        if before:
            del self._by_value[before.kind, before.value]
        self._releases.pop(value, None)
        self._allocations[owner, purpose] = allocation
        self._by_value[kind, value] = allocation
        return value

    def name(self, owner: str, purpose: str, claimant: Claimant) -> None:
        """Say whom an allocation is for, where an earlier version of this program did not."""
        allocation = self._allocations[owner, purpose]
        if allocation.claimant == NOBODY:
            self.take(owner, purpose, allocation.kind, allocation.value, claimant)

    def rename(self, owner: str, purpose: str, other: str) -> None:
        """Give what an owner holds for a purpose another purpose, for which it holds nothing yet."""
        before = self._allocations[owner, purpose]
        self._database.execute("UPDATE claims SET purpose = ? WHERE owner = ? AND purpose = ?", (other, owner, purpose))
        after = dataclasses.replace(before, purpose=other)
        del self._allocations[owner, purpose]
        self._allocations[owner, other] = self._by_value[after.kind, after.value] = after

    def free(self, allocations: Iterable[Allocation]) -> None:
        """Forget allocations, and remember of addresses who had them; ones that are gone already are no error."""
        going = [one for one in allocations if self._allocations.get((one.owner, one.purpose)) == one]
        if not going:
            return
        with self._transaction():
            for one in going:
                self._database.execute("DELETE FROM claims WHERE owner = ? AND purpose = ?", (one.owner, one.purpose))
                self._record_release(one)
        for one in going:
            del self._allocations[one.owner, one.purpose]
            del self._by_value[one.kind, one.value]

    def _record_release(self, allocation: Allocation) -> None:
        """Write down that an address is free from now on."""
        if allocation.kind != "address":
            return
        release = Release(self._clock(), allocation.claimant)
        row = (allocation.value, release.released, *release.claimant)
        self._database.execute("REPLACE INTO releases VALUES (?, ?, ?, ?)", row)
        self._releases[allocation.value] = release
        if len(self._releases) > _REMEMBERED:
            oldest = min(self._releases, key=lambda address: self._releases[address].released)
            self._database.execute("DELETE FROM releases WHERE address = ?", (oldest,))
            del self._releases[oldest]

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

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


def read(path: Path) -> list[Allocation]:
    """Return the allocations of a file that the node may have open; none where it is missing or of another version."""
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(_opened_to_read(path)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        return _allocations(database) if version == _VERSION else []
    return []


def _opened_to_read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _allocations(database: sqlite3.Connection) -> list[Allocation]:
    rows = database.execute("SELECT owner, purpose, kind, value, namespace, name FROM claims")
    return [
        Allocation(owner, purpose, kind, value, Claimant(*claimant)) for owner, purpose, kind, value, *claimant in rows
    ]
