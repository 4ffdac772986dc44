"""Locks that one process at a time holds, and that end with their holder at the latest.

The kernel ties such a lock to an open descriptor: whoever inherits the descriptor holds the lock too, and keeps it when
the process that took it has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["hold", "holder", "take", "take_soon", "wait_for"]

_ASK_SECONDS: Final = 0.2
_END_SECONDS: Final = 3.0
"""A process that was killed lets go of its lock within so long, on a busy machine too."""


def take(path: Path) -> int | None:
    """Take a lock if nobody holds it.

    Args:
        path: The lock's file, which whoever holds it may remove; its folder exists.

    Returns:
        A descriptor that holds the lock until it is closed, and that children do not inherit unless it is passed on;
        None where somebody holds the lock.
    """
    while True:
        with contextlib.ExitStack() as undo:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            undo.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            if _is_at(descriptor, path):
                undo.pop_all()
                return descriptor


def take_soon(path: Path, wait: Callable[[int | None], None], *, seconds: float = _END_SECONDS) -> int | None:
    """Take a lock that a process which is just ending may still hold.

    Args:
        path: As of `take`.
        wait: Called once with the holder's PID where somebody holds it; None where the kernel does not show who.
        seconds: How long its holder may take.

    Returns:
        As `take`; None where its holder goes on.
    """
    end = time.monotonic() + seconds
    is_told = False
    while (descriptor := take(path)) is None and time.monotonic() < end:
        if not is_told:
            wait(holder(path))
            is_told = True
        time.sleep(_ASK_SECONDS)
    return descriptor


@contextlib.contextmanager
def hold(path: Path, wait: Callable[[str], None]) -> Generator[None]:
    """Hold a lock, and write this process's PID into its file.

    Args:
        path: The lock's file, which whoever holds it may remove; its folder exists.
        wait: Called with the PID of the holder, again and again, while another process holds it; ``""`` where that
            process has not written it yet.
    """
    while (descriptor := take(path)) is None:
        try:
            holder = path.read_text()
        except FileNotFoundError:
            continue  # Its holder has just removed it.
        wait(holder)
        time.sleep(_ASK_SECONDS)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(path: Path) -> int | None:
    """Return the PID of the process that took a lock, None where nobody has it or the kernel does not show who.

    The lock itself is not touched.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5] == place:
            return int(words[4])
    return None


@contextlib.contextmanager
def wait_for(path: Path) -> Generator[None]:
    """Hold a lock, after waiting silently for as long as somebody else holds it.

    Args:
        path: A folder that exists, or the lock's file, which nobody removes.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether a file is still there: one that its last holder has removed is a lock that nobody else sees."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
