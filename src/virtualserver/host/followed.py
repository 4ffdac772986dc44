"""A value that is read from a file, and read again when the file changes.

The file is looked at once a second, which needs no watch that could be lost: it may be missing, be replaced by an
editor, or be a link into a folder that is replaced, as a cluster does with a ConfigMap.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

__all__ = ["Followed"]

T = TypeVar("T")

_LOOK_SECONDS: Final = 1.0

_Stamp = tuple[int, int, int, int] | None


class Followed(Generic[T]):
    """A value and the file that it is read from.

    Args:
        path: The file, which need not exist.
        read: Reads the value; it raises `ValueError` or `OSError` where the file cannot be used.
        look_seconds: How often the file is looked at.

    Raises:
        ValueError: As `read` does.
        OSError: As `read` does.
    """

    def __init__(self, path: Path, read: Callable[[], T], *, look_seconds: float = _LOOK_SECONDS) -> None:
        self._path = path
        self._read = read
        self._look_seconds = look_seconds
        self._seen = _stamp(path)
        self._value = read()

    @property
    def value(self) -> T:
        """What was read last."""
        return self._value

    async def changes(self) -> AsyncIterator[T | ValueError | OSError]:
        """Yield the value after each change of the file, or why it cannot be read: the value stays as it was then.

        A file that is being written is read once it has stayed the same between two looks.
        """
        last = self._seen
        while True:
            await asyncio.sleep(self._look_seconds)
            now = _stamp(self._path)
            if now == last and now != self._seen:
                self._seen = now
                try:
                    self._value = self._read()
                except (ValueError, OSError) as error:
                    yield error
                else:
                    yield self._value
            last = now


def _stamp(path: Path) -> _Stamp:
    """Return what differs when a file has another content, None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
