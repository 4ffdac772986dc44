"""Copies of disks, one at a time, and whose turn it is."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from unit.kube.virtual_time import run
from virtualserver.node.queues import Queues
from virtualserver.node.volumes.copies import Copies
from virtualserver.node.volumes.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable

COPY_SECONDS = 100.0


class SlowDisks:
    """Disks whose copies take long; one at a time is made."""

    def __init__(self) -> None:
        self.made: dict[str, float] = {}
        self._is_busy = False

    async def copy(self, identifier: str, *, progress: Callable[[float], None], **_: Any) -> None:
        """Make a copy."""
        assert not self._is_busy
        self._is_busy = True
        for percent in range(100):
            progress(percent / 100)
            await asyncio.sleep(COPY_SECONDS / 100)
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
        told = {await queues.volumes.get() for _ in range(len(queues.volumes))}
        assert told >= {("crowd", "0"), ("a", "web")}, "who asked is told"
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    run(body())
    assert disks.made["web"] == 3 * COPY_SECONDS
    assert len(disks.made) == 4


def test_a_copy_says_how_far_it_is_and_its_volume_is_looked_at_every_two_seconds_at_most() -> None:
    disks, queues = SlowDisks(), Queues()

    async def body() -> None:
        copies = Copies(cast("Any", disks), queues)
        work = asyncio.create_task(copies.run())
        for name in ("one", "two"):
            copies.make(("a", name), name, Source("", Path(), 1, disk="large"), 1)
        looks: dict[str, int] = {"one": 0, "two": 0}
        for second in range(1, 51):
            await asyncio.sleep(1)
            while len(queues.volumes):
                key = await queues.volumes.get()
                queues.volumes.done(key)
                looks[key[1]] += 1
            assert second - 1 <= round(100 * (copies.share("one") or 0)) <= second
        assert copies.share("two") is None, "it waits for its turn"
        assert looks["two"] == 0 and 24 <= looks["one"] <= 27
        await asyncio.sleep(COPY_SECONDS)
        assert copies.share("one") is None and copies.share("two")
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    run(body())
