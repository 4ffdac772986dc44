"""Copies of disks, one at a time, and whose turn it is."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any, cast

from unit.kube.virtual_time import run
from virtualserver.node.queues import Queues
from virtualserver.node.volumes.copies import Copies
from virtualserver.node.volumes.sources import Source

COPY_SECONDS = 100.0


class SlowDisks:
    """Disks whose copies take long; one at a time is made."""

    def __init__(self) -> None:
        self.made: dict[str, float] = {}
        self._is_busy = False

    async def copy(self, identifier: str, **_: Any) -> None:
        """Make a copy."""
        assert not self._is_busy
        self._is_busy = True
        await asyncio.sleep(COPY_SECONDS)
        self._is_busy = False
        self.made[identifier] = asyncio.get_running_loop().time()


def test_who_asks_for_many_copies_holds_up_others_by_two() -> None:
    """Fault 12's kind: 50 copies of a large disk, and another tenant's came after the last of them."""
    disks, queues = SlowDisks(), Queues()

    async def body() -> None:
        copies = Copies(cast("Any", disks), queues)
        work = asyncio.create_task(copies.run())
        for number in range(50):
            copies.make(("crowd", f"{number}"), f"crowd-{number}", Source("", Path(), 1, disk="large"), 1)
        await asyncio.sleep(1)
        for _ in range(2):
            told = copies.make(("a", "web"), "web", Source("", Path(), 1, disk="small"), 1)
            assert told.reason == "CloneInProgress"
        assert copies.reads("small"), "from the moment that it is asked for"
        await asyncio.sleep(4 * COPY_SECONDS)
        assert not copies.reads("small") and copies.reads("large")
        assert await queues.volumes.get() == ("crowd", "0")
        assert await queues.volumes.get() == ("a", "web"), "who asked is told"
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    run(body())
    assert disks.made["web"] == 3 * COPY_SECONDS
    assert len(disks.made) == 4
