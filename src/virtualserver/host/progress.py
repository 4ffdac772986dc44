"""How long work says what it waits for, and what is done again and again meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator

__all__ = ["Update", "repeating"]

Update = Callable[[str, float | None], None]
"""Called with what is being waited for, in words, and the share that is done (0 to 1, None where unknown)."""


@contextlib.contextmanager
def repeating(tell: Callable[[], None], *, first: float, then: float) -> Generator[None]:
    """Call something again and again, in a thread of its own, until the context ends; it is over afterwards.

    Args:
        tell: What is called.
        first: After how many seconds for the first time.
        then: How many seconds lie between one call's end and the next call.
    """
    ended = threading.Event()

    def repeat() -> None:
        pause = first
        while not ended.wait(pause):
            tell()
            pause = then

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
