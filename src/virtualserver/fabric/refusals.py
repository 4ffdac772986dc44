"""Who is left out of the data plane: whose values would not be safe, or of whom the kernel refuses something."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.host.commands import CommandError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from virtualserver.fabric.desired.ledger import Delta, Entries, Ledger, Owner

__all__ = ["REFUSALS", "LeftOut", "Refused"]

REFUSALS: Final = (KernelError, CommandError, OSError)
"""What the kernel, or dnsmasq, refuses a change by."""

_logger = logging.getLogger(__name__)


class Refused(Exception):
    """What one owner asks for cannot be carried out; the message is about this owner only."""


class LeftOut:
    """Who is left out, and why."""

    def __init__(self) -> None:
        self._whys: dict[Owner, str] = {}

    def why(self, owner: Owner) -> str:
        """Return why an owner is left out, ``""`` where it is not."""
        return self._whys.get(owner, "")

    def add(self, owner: Owner, why: Exception) -> None:
        """Leave an owner out."""
        told = f"the data plane cannot carry it: {why}"
        if self._whys.get(owner) != told:
            _logger.error("%s %s %s is left out of the data plane: %s", *owner, why)
        self._whys[owner] = told

    def discard(self, owner: Owner) -> None:
        """Leave an owner out no more."""
        self._whys.pop(owner, None)

    def fill(self, ledger: Ledger, asked: Iterable[tuple[Owner, Callable[[], Entries]]]) -> None:
        """Enter what all owners ask for; what would not be safe is left out."""
        for owner, make in asked:
            try:
                ledger.put(owner, make())
            except ValueError as fault:
                self.add(owner, fault)

    async def sift(
        self, ledger: Ledger, look: Callable[[], Awaitable[Delta]], change: Callable[[Delta], Awaitable[None]]
    ) -> None:
        """Find by trial of whom the kernel refuses something, and leave them out of the ledger.

        Args:
            ledger: What all ask for.
            look: Returns what turns what is there into what the ledger has.
            change: Carries out such a change, or a part of it.

        Raises:
            KernelError, CommandError, OSError: Something of everybody is refused, which is then nobody's fault.
        """
        delta = await look()
        asked = [owner for owner in sorted(ledger.owners()) if delta.within(ledger.of(owner))]
        refused = 0
        for owner in asked:
            part = delta.within(ledger.of(owner))
            try:
                await change(part)
            except REFUSALS as error:
                refused += 1
                if refused == len(asked) > 1:
                    raise
                ledger.put(owner, {})
                self.add(owner, error)
                delta = await look()
            else:
                delta = delta.without(part)
