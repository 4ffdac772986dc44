"""Keeps room for the control plane: guests that fill the file system stand still until there is room again.

Whoever fills it otherwise, the control plane has a file's worth of room of its own, given up only then.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Final

from virtualserver.machines.ends import Ended
from virtualserver.storage import space

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.node.held import Held
    from virtualserver.storage.space import Space

__all__ = ["Reserve"]

_logger = logging.getLogger(__name__)

_QUIET_SECONDS: Final = 1.0
_BUSY_SECONDS: Final = 0.1
_BUSY_SHARE: Final = 8
"""Where less than so many times the reserve is free, it is looked at more often: guests write a GiB in a second."""

_KEPT_BYTES: Final = 128 << 20


class Reserve:
    """Looks at the file system of the state, and freezes and thaws guests."""

    def __init__(self, held: Held, *, state: Path) -> None:
        """Name what it looks at.

        Args:
            held: The machines.
            state: The installation's state folder, on whose file system they and the control plane write.
        """
        self._held = held
        self._state = state
        self._kept = state / "reserve"
        self._is_short = False
        self._sizes: dict[str, int] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            now = space.space_of(self._state)
            is_busy = now.free < now.reserve * _BUSY_SHARE
            # Who grows matters where room is getting short, long before it is.
            await self._look(now, self._allocated() if is_busy else {})
            await asyncio.sleep(_BUSY_SECONDS if is_busy else _QUIET_SECONDS)

    async def _look(self, now: Space, sizes: dict[str, int]) -> None:
        """Freeze who fills the file system, or thaw whom we froze."""
        self._is_short = space.is_short(now, was_short=self._is_short)
        if self._is_short:
            await self._freeze(space.fillers(now, self._sizes, sizes), now)
        else:
            await self._thaw()
        self._keep(now)
        self._sizes = sizes

    def _allocated(self) -> dict[str, int]:
        """Return what the disks of each machine take, by the UID of its VMI."""
        return {
            uid: sum(map(space.allocated, machine.written))
            for uid, machine in self._held.machines().items()
            if not isinstance(machine.state, Ended)
        }

    async def _freeze(self, uids: set[str], now: Space) -> None:
        machines = [machine for uid, machine in self._held.machines().items() if uid in uids and not machine.is_frozen]
        why = (
            f"paused: it writes, and the file system of its disk has less than {now.reserve >> 20} MiB left, which "
            "the control plane needs; it goes on when there is room: remove images that nobody needs (vs image list, "
            "vs image remove NAME), and other files there"
        )
        for machine in machines:
            _logger.warning("%s: %s (%s)", machine.spec.name, why, self._state)
        await asyncio.gather(*(machine.freeze(why) for machine in machines))

    async def _thaw(self) -> None:
        machines = [machine for machine in self._held.machines().values() if machine.is_frozen]
        for machine in machines:
            _logger.info("%s: there is room again, so its guest goes on", machine.spec.name)
        await asyncio.gather(*(machine.thaw() for machine in machines))

    def _keep(self, now: Space) -> None:
        """Keep a file's worth of room, and give it up while next to nothing is left beside it."""
        if now.free < _KEPT_BYTES // 2:
            self._kept.unlink(missing_ok=True)
        elif not self._is_short and space.allocated(self._kept) < _KEPT_BYTES:
            descriptor = os.open(self._kept, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, _KEPT_BYTES)
            except OSError as error:
                _logger.debug("%s: no room is kept: %s", self._kept, error.strerror)
            finally:
                os.close(descriptor)
