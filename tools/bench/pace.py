"""Servers at a steady rate."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["names_at"]


async def names_at(rate: float, servers: int) -> AsyncGenerator[str]:
    """Yield so many names of servers, each at its time, or as soon as it is asked for after that.

    Args:
        rate: Servers a second.
        servers: How many.
    """
    began = time.perf_counter()
    for number in range(servers):
        await asyncio.sleep(max(0, began + number / rate - time.perf_counter()))
        yield f"s{number}"
