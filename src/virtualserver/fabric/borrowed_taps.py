"""Taps that somebody deleted or moved away while machines have them open: brought back by what the machines hold."""

from __future__ import annotations

import contextlib
import functools
import os
from typing import TYPE_CHECKING

from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.ledger import Entry
from virtualserver.fabric.desired.repair import Repair
from virtualserver.fabric.kernel import taps
from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.kernel.namespace import apart

if TYPE_CHECKING:
    from virtualserver.fabric.desired.ledger import Delta, Ledger
    from virtualserver.fabric.kernel.namespace import Namespace

__all__ = ["BorrowedTaps"]


class BorrowedTaps:
    """Borrows from machines the descriptors of their taps."""

    def __init__(self, namespace: Namespace, holders: taps.TapHolders | None) -> None:
        """Name where the taps belong.

        Args:
            namespace: Where taps are.
            holders: The machines that have them open; None where nobody looks after them.
        """
        self._cut_off: dict[str, str] = {}
        self._namespace = namespace
        self._holders = holders

    @property
    def cuts_off(self) -> bool:
        """Whether a machine is cut off from its tap."""
        return bool(self._cut_off)

    def cut_off(self, device: str) -> str:
        """Return why the machine that has a tap open is cut off from it, ``""`` where none is."""
        return self._cut_off.get(device, "")

    def forget(self, device: str) -> None:
        """Take note that whoever had a tap open is gone."""
        self._cut_off.pop(device, None)

    async def fetch(self, delta: Delta) -> list[Repair]:
        """Bring back the taps that a delta adds, and that a machine has open in another namespace."""
        made: list[Repair] = []
        if self._holders is None:
            return made
        for entry in (one for one in delta.added.keys() - delta.removed.keys() if one.kind == entries.TAP):
            with contextlib.suppress(OSError, KernelError):  # then a new one is made
                descriptor = self._holders.borrow_tap(entry.key)
                try:
                    if await apart(functools.partial(taps.fetch, descriptor, entry.key, self._namespace.path)):
                        made.append(self._repair(entry.key))
                finally:
                    os.close(descriptor)
        return made

    async def attach(self, ledger: Ledger) -> list[Repair]:
        """Attach the machines whose taps somebody deleted to the new taps, and return what is whole again."""
        made: list[Repair] = []
        failed: dict[str, str] = {}
        for device in self._holders.cut_off() if self._holders else ():
            if Entry(entries.TAP, device) not in ledger or self._holders is None:
                continue
            try:
                descriptor = self._holders.borrow_tap(device)
                try:
                    await self._namespace.visit(functools.partial(taps.attach, descriptor, device))
                finally:
                    os.close(descriptor)
            except OSError as error:
                failed[device] = error.strerror or str(error)
            else:
                made.append(self._repair(device))
        self._cut_off = failed
        return made

    def _repair(self, device: str) -> Repair:
        return Repair(f"tap {device}", f"namespace {self._namespace.name}")
