"""The terminal of the one who asks: its bytes, and as it was before whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
import threading
import tty
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Keys", "raw", "write"]

_CHUNK_BYTES: Final = 64 << 10
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


class Keys:
    """What comes in by a file descriptor, whatever it is: a terminal, a pipe, a file.

    Args:
        descriptor: Read to its end by a thread that nobody waits for.
    """

    def __init__(self, descriptor: int) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=16)
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(descriptor,), daemon=True).start()

    async def read(self) -> bytes:
        """Return the next piece, empty at the end."""
        return await self._queue.get()

    def _read(self, descriptor: int) -> None:
        data = b"-"
        while data:
            try:
                data = os.read(descriptor, _CHUNK_BYTES)
            except OSError:
                data = b""
            with contextlib.suppress(RuntimeError):  # nobody waits any more
                asyncio.run_coroutine_threadsafe(self._queue.put(data), self._loop).result()


@contextlib.contextmanager
def raw(descriptor: int, *, ends: Callable[[], object]) -> Generator[None]:
    """Hand every key on as it is, and give the terminal back as it was; what is no terminal is left alone.

    Args:
        descriptor: The terminal.
        ends: Called instead of a signal's ending this process, so that the terminal is given back before.
    """
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()
    for ending in _ENDING:
        loop.add_signal_handler(ending, ends)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
        for ending in _ENDING:
            loop.remove_signal_handler(ending)


def write(descriptor: int, data: bytes) -> None:
    """Write all of it.

    Raises:
        BrokenPipeError: Nobody reads any more.
    """
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # a terminal that another program left without waiting
            os.set_blocking(descriptor, True)
