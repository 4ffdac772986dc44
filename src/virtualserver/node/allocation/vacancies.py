"""What is known of addresses on the uplink that nobody here holds: whether somebody there has them. No I/O."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from virtualserver.fabric.desired.state import Address

__all__ = ["FRESH_SECONDS", "THIS_MACHINE", "Vacancies"]

FRESH_SECONDS: Final = 60.0
"""So long it counts what was found out about an address."""

THIS_MACHINE: Final = "this machine itself"


class Vacancies:
    """Who answers for which address, as far as it was asked lately.

    Attributes:
        wanted: Set while somebody waits to know of an address.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet."""
        self._clock = clock
        self._found: dict[Address, tuple[float, str]] = {}
        self._asked: set[Address] = set()
        self.wanted = asyncio.Event()

    def occupant(self, address: Address) -> str | None:
        """Return who has an address, ``""`` for nobody; None where that is not known, or not any more."""
        found = self._found.get(address)
        return found[1] if found and self._clock() - found[0] < FRESH_SECONDS else None

    def last_occupant(self, address: Address) -> str:
        """Return who had an address when it was last asked for, ``""`` for nobody and where it never was."""
        return self._found.get(address, (0.0, ""))[1]

    def is_due(self, address: Address) -> bool:
        """Return whether an address is to be asked for again, before what is known of it is too old."""
        found = self._found.get(address)
        return found is None or self._clock() - found[0] > FRESH_SECONDS / 2

    def ask(self, addresses: Collection[Address]) -> None:
        """Have addresses asked for soon."""
        self._asked.update(addresses)
        self.wanted.set()

    def take_asked(self) -> set[Address]:
        """Return the addresses that somebody waits to know of, and forget that."""
        asked, self._asked = self._asked, set()
        self.wanted.clear()
        return asked

    def note(self, addresses: Collection[Address], occupants: Mapping[Address, str]) -> dict[Address, str]:
        """Take in who has addresses that were asked for, and return those of which that is another one than before."""
        now = self._clock()
        before = {address: self._found.get(address, (0.0, ""))[1] for address in addresses}
        self._found.update({address: (now, occupants.get(address, "")) for address in addresses})
        return {address: self._found[address][1] for address, was in before.items() if self._found[address][1] != was}
