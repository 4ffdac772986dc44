"""Whether the kernel may not be as we left it: by its notices, and by one cheap look a second at the rest."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from virtualserver.fabric.desired.state import CARRIED
from virtualserver.fabric.kernel.namespace import apart
from virtualserver.fabric.kernel.netfilter import Netfilter
from virtualserver.fabric.kernel.notices import Notices, doubts_in_host, doubts_inside

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from virtualserver.fabric.desired.ledger import Wanted
    from virtualserver.fabric.kernel.attachment import Attachment

__all__ = ["Doubts", "KernelWatch"]

_PERIOD: Final = 1.0
_BURST: Final = 0.05
"""Seconds in which what belongs together, as the notices of one flush, arrives."""


class Doubts(NamedTuple):
    """Which part may not be as we left it."""

    inside: bool
    host: bool


class KernelWatch:
    """Watches the namespace and the host's part of one installation; to be closed in the end."""

    def __init__(self, attachment: Attachment) -> None:
        """Name what is watched."""
        self._attachment = attachment
        self._arrived = asyncio.Event()
        self._inside: Notices | None = None
        self._host: Notices | None = None
        self._host_rules: Netfilter | None = None
        self._host_generation = -1
        self._looked = 0.0
        self._turn = 0
        self._certain = False

    async def wait(self, pause: float = 0.0) -> None:
        """Wait until the kernel tells of something, a second at most.

        Args:
            pause: Seconds to wait in any case, whatever it tells.
        """
        if pause:
            await asyncio.sleep(pause)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PERIOD):
                await self._arrived.wait()
            await asyncio.sleep(_BURST)
        self._arrived.clear()

    async def look(self, wanted: Wanted) -> Doubts:
        """Return what may not be as we left it. Nothing of ours may be about to change meanwhile.

        The first look, and one at a namespace that was made anew, doubts everything: there were no notices before.
        """
        anew = await self._follow()
        if anew or not self._certain or self._inside is None or self._host is None:
            self._certain = True
            return Doubts(inside=True, host=True)
        device = self._attachment.device
        own = [
            network
            for version in CARRIED
            for network in (*self._attachment.ranges.pools(version), self._attachment.ranges.host_end(version).network)
        ] + self._attachment.routed_one_by_one
        told_inside, told_host = self._inside.take(), self._host.take()
        if told_inside.lost or told_host.lost:
            # A socket that overflowed may stay deaf: others take their place, at the next look.
            self._follow_no_more()
            self._arrived.set()
            return Doubts(inside=True, host=True)
        netfilter = self._attachment.namespace.kept()
        inside = doubts_inside(told_inside, wanted, mtu=self._attachment.mtu)
        inside = inside or netfilter is None or not netfilter.is_as_left()
        host = doubts_in_host(told_host, device, own, self._attachment.uplinks) or self._host_rules_changed()
        if time.monotonic() - self._looked >= _PERIOD:
            self._looked = time.monotonic()
            settings = await self._attachment.settings_differ(self._turn)
            self._turn += 1
            return Doubts(inside or settings.inside, host or settings.host)
        return Doubts(inside, host)

    def doubt(self) -> None:
        """Doubt everything at the next look."""
        self._certain = False

    async def close(self) -> None:
        """Watch no more."""
        self._follow_no_more()
        if self._host_rules is not None:
            await apart(self._host_rules.close)
            self._host_rules = None

    def _follow_no_more(self) -> None:
        for notices in (self._inside, self._host):
            if notices is not None:
                notices.close()
        self._inside = self._host = None

    async def _follow(self) -> bool:
        """Be told of the namespace that there is now, and of the host; return whether that is new."""
        namespace = self._attachment.namespace
        if self._inside is not None and self._inside.namespace == namespace.identity():
            return False
        if self._inside is not None:
            self._inside.close()
            self._inside = None
        if self._host is None:
            self._host = await _kept(apart(Notices))
            self._host.follow(self._arrived)
        self._host_rules = self._host_rules or await apart(Netfilter)
        if namespace.exists():
            self._inside = await _kept(namespace.visit(Notices))
            self._inside.follow(self._arrived)
        return True

    def _host_rules_changed(self) -> bool:
        """Return whether the host's rules, of whoever, changed since this was last asked."""
        if self._host_rules is None:
            return True
        before, self._host_generation = self._host_generation, self._host_rules.generation()
        return before != self._host_generation


async def _kept(making: Coroutine[None, None, Notices]) -> Notices:
    """Return what is made, and close it where the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(making)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        (await task).close()
        raise
