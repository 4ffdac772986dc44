"""A watch that is cancelled ends, whatever the kernel tells at that moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from virtualserver.fabric.kernel.watch import KernelWatch

if TYPE_CHECKING:
    from virtualserver.fabric.kernel.attachment import Attachment


@pytest.mark.parametrize("steps", range(4))
async def test_a_cancellation_that_meets_a_notice_is_not_lost(steps: int) -> None:
    """asyncio.wait_for of Python 3.11 loses it, and who follows the repairs would never end."""
    watch = KernelWatch(cast("Attachment", None))
    waiting = asyncio.create_task(watch.wait())
    await asyncio.sleep(0.01)
    watch._arrived.set()  # pyright: ignore[reportPrivateUsage]
    for _ in range(steps):
        await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
