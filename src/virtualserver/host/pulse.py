"""A process's pulse: a file by which others see that its event loop turns, and at what it stands still.

The loop counts up in it each second, and names the piece of work whose step it is about to take; both are written to
memory that is mapped to the file, so that they cost no system call and outlive the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import mmap
import os
import stat
import struct
import tempfile
import time
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator

__all__ = ["BEAT_SECONDS", "SLOW_SECONDS", "Beat", "Pulse", "read"]

T = TypeVar("T")

BEAT_SECONDS: Final = 1.0

SLOW_SECONDS: Final = 1.0
"""A step that takes longer holds up everybody else's work: the log names it."""

_HEAD: Final = struct.Struct("<4sIQH")
"""What it is, PID, number of beats, and how many bytes follow that name the work."""
_MAGIC: Final = b"vsp1"
_LENGTH: Final = struct.Struct("<H")
_LENGTH_AT: Final = _HEAD.size - _LENGTH.size
_SIZE: Final = 512
_MOST: Final = _SIZE - _HEAD.size

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Beat:
    """What a pulse showed at one moment.

    Attributes:
        pid: Of the process.
        count: Goes up while the loop turns.
        work: What the loop's present step belongs to, ``""`` for nothing that was named.
    """

    pid: int
    count: int
    work: str


class Pulse:
    """The pulse of this process.

    Args:
        path: The file, in a folder that exists; a predecessor's is replaced. All may read it.
    """

    def __init__(self, path: Path) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            os.fchmod(descriptor, 0o644)
            os.truncate(descriptor, _SIZE)
            self._memory = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        self._count = 0
        self._memory[: _HEAD.size] = _HEAD.pack(_MAGIC, os.getpid(), 0, 0)
        Path(temporary).replace(path)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._count += 1
            # One write each, so that a reader sees no half of a number.
            struct.pack_into("<Q", self._memory, 8, self._count)
            await asyncio.sleep(BEAT_SECONDS)

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncGenerator[None]:
        """Beat while the context is open."""
        task = asyncio.create_task(self.run(), name="pulse")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def during(self, work: str, coroutine: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Return what a coroutine returns; while the loop takes a step of it, the pulse names the work.

        What it hands to tasks of its own is not named.
        """
        return _steps(self._name, work, coroutine)

    def _name(self, work: bytes) -> None:
        if work:
            self._memory[_HEAD.size : _HEAD.size + len(work)] = work
        _LENGTH.pack_into(self._memory, _LENGTH_AT, len(work))


@types.coroutine
def _steps(name: Callable[[bytes], None], work: str, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Drive a coroutine as ``await`` does, and name it around each step."""
    encoded = work.encode(errors="replace")[:_MOST]
    step: Callable[[], Any] = functools.partial(coroutine.send, None)
    while True:
        began = time.monotonic()
        name(encoded)
        try:
            awaited = step()
        except StopIteration as over:
            return over.value
        finally:
            name(b"")
            if (took := time.monotonic() - began) > SLOW_SECONDS:
                _logger.warning("%s: one step took %.1f s, in which nothing else was done", work, took)
        try:
            value = yield awaited
        except BaseException as error:
            step = functools.partial(coroutine.throw, error)
        else:
            step = functools.partial(coroutine.send, value)


def read(path: Path) -> Beat | None:
    """Return what a pulse shows, None where there is none; never waits, whatever the file is."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        content = os.read(descriptor, _SIZE) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if len(content) < _HEAD.size:
        return None
    magic, pid, count, length = _HEAD.unpack_from(content)
    if magic != _MAGIC:
        return None
    work = content[_HEAD.size : _HEAD.size + length].decode(errors="replace")
    return Beat(pid, count, work if work.isprintable() else repr(work))
