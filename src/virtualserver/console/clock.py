"""The clock by which links, sessions and texts end."""

from __future__ import annotations

import time

__all__ = ["now"]


def now() -> float:
    """Return seconds that also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
