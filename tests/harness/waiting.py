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
    look: Callable[[], T], *, what: str | Callable[[], str] = "the condition", seconds: float = 90, pause: float = 0.02
) -> T:
    """Return the first truthy result of looking again and again.

    Args:
        look: What looks; an AssertionError or LookupError of it means that it is not so yet.
        what: What is waited for, or what tells it once the time is over.
        seconds: How long to look.
        pause: The least time between two looks, in seconds; it is twice as long as a look takes where that is more.

    Raises:
        AssertionError: Nothing truthy was seen within the time; says what was waited for and what was seen last.
    """
    end = time.monotonic() + seconds
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
        time.sleep(max(pause, 2 * (time.monotonic() - began)))


async def until(
    look: Callable[[], T | Awaitable[T]], what: str = "the condition", *, seconds: float = 60, pause: float = 0.02
) -> T:
    """Return the first truthy result of looking again and again, while other tasks go on.

    Args:
        look: What looks; where it returns an awaitable, that one's result counts.
        what: What is waited for.
        seconds: How long to look.
        pause: The time between two looks, in seconds.

    Raises:
        AssertionError: Nothing truthy was seen within the time.
    """
    end = time.monotonic() + seconds
    while True:
        seen = look()
        found = cast("T", await seen if inspect.isawaitable(seen) else seen)
        if found:
            return found
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}; last seen: {found!r}"
        await asyncio.sleep(pause)
