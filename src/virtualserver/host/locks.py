"""Files that one process at a time holds; whoever holds one may remove it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

__all__ = ["hold"]

_ASK_SECONDS: Final = 0.2


@contextlib.contextmanager
def hold(path: Path, wait: Callable[[str], None]) -> Generator[None]:
    """Hold a lock, which ends with this process at the latest.

    Args:
        path: The lock's file; its folder exists.
        wait: Called with the PID of the holder, again and again, while another process holds it.
    """
    while (descriptor := _taken(path, wait)) is None:
        pass
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _taken(path: Path, wait: Callable[[str], None]) -> int | None:
    """Try once; return the descriptor that holds the lock, None where another process holds it or has removed it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A file that its last holder has removed is a lock that nobody else sees.
            is_lock = os.path.samestat(os.fstat(descriptor), path.stat())
        except BlockingIOError:
            wait(os.pread(descriptor, 20, 0).decode())
            time.sleep(_ASK_SECONDS)
            return None
        except FileNotFoundError:
            return None
        if is_lock:
            undo.pop_all()
            return descriptor
    return None
