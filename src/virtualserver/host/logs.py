"""Logs of programs that know no bound: what somebody else has them write must not fill the machine."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LIMIT", "bound", "end_of"]

LIMIT: Final = 16 << 20
"""Bytes of a log before its end becomes ``NAME.log.1``: at most twice as much is kept."""


def bound(path: Path, limit: int = LIMIT) -> None:
    """Move the end of a log that has grown beyond the limit to ``NAME.log.1``, since its writer keeps the file open.

    Args:
        path: The log, to whose end its writer appends; one that is not there is fine.
        limit: In bytes.
    """
    try:
        if path.stat().st_size <= limit:
            return
    except FileNotFoundError:
        return
    end = end_of(path, limit)
    with contextlib.suppress(OSError):  # the disk is full: all the more reason
        _put(path.with_name(path.name + ".1"), end)
    os.truncate(path, 0)


def end_of(path: Path, count: int) -> bytes:
    """Return the last bytes of a file, so many at most; none where there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - count))
            return file.read(count)
    except FileNotFoundError:
        return b""


def _put(path: Path, content: bytes) -> None:
    """Replace a file of root's alone, without waiting for the disk: who writes much would have everybody wait."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
