"""Changes of files, as the kernel reports them."""

from __future__ import annotations

import asyncio
import ctypes
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["changes"]

_MODIFY, _MOVED_TO, _CREATE, _DELETE_SELF = 0x2, 0x80, 0x100, 0x400
_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC


async def changes(folder: Path, name: str) -> AsyncIterator[None]:
    """Yield after each change of a file of a folder; several quick changes may be one."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.inotify_init1(_FLAGS)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1: raise fs.inotify.max_user_instances")
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def arrived() -> None:
        if f"{name}\0".encode() in os.read(descriptor, 65536):
            changed.set()

    try:
        if library.inotify_add_watch(descriptor, os.fsencode(folder), _MODIFY | _MOVED_TO | _CREATE) < 0:
            raise OSError(ctypes.get_errno(), f"inotify_add_watch: {folder}")
        loop.add_reader(descriptor, arrived)
        while True:
            await changed.wait()
            changed.clear()
            yield
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
