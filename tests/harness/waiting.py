"""Waiting for what a test cannot be told of: looking again and again, and saying what was seen last."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["eventually", "until"]

T = TypeVar("T")


def eventually(
    look: Callable[[], T],
    *,
    what: str | Callable[[], str] = "the condition",
    seconds: float = 90,
    pause: float | None = None,
) -> T:
    """Return the first truthy result of looking again and again, the more seldom the longer it takes.

    Args:
        look: What looks; an AssertionError or LookupError of it means that it is not so yet.
        what: What is waited for, or what tells it once the time is over.
        seconds: How long to look.
        pause: The least time between two looks, in seconds; None: a tenth of what was waited, a quarter of a second at
            most. It is twice as long as a look takes where that is more.

    Raises:
        AssertionError: Nothing truthy was seen within the time; says what was waited for and what was seen last.
    """
    first = time.monotonic()
    end = first + seconds
    while True:
        seen: object
        began = time.monotonic()
        try:
            found = look()
        except (AssertionError, LookupError) as error:
            seen = error
        else:
            if found:
                return found
            seen = found
        if time.monotonic() > end:
            words = what if isinstance(what, str) else what()
            raise AssertionError(f"waited {seconds:g} s for {words}; last seen: {seen!r}")
        now = time.monotonic()
        least = _pause(now - first) if pause is None else pause
        time.sleep(max(least, 2 * (now - began)))


async def until(look: Callable[[], T | Awaitable[T]], what: str = "the condition", *, seconds: float = 60) -> T:
    """Return the first truthy result of looking again and again, as `eventually`, while other tasks go on.

    Args:
        look: What looks; where it returns an awaitable, that one's result counts.
        what: What is waited for.
        seconds: How long to look.

    Raises:
        AssertionError: Nothing truthy was seen within the time.
    """
    first = time.monotonic()
    end = first + seconds
    while True:
        seen = look()
        found = cast("T", await seen if inspect.isawaitable(seen) else seen)
        if found:
            return found
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}; last seen: {found!r}"
        await asyncio.sleep(_pause(time.monotonic() - first))


def _pause(waited: float) -> float:
    """Return for how many seconds nobody looks: a look costs the API server and etcd more than it costs the test."""
    return min(max(0.02, waited / 10), 0.25)
