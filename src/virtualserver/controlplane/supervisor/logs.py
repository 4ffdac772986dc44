"""The components' logs: bounded in size, and quoted where a component fails."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LIMIT", "bound", "last_line"]

LIMIT: Final = 16 * 1024 * 1024
"""Bytes of a log before it becomes ``NAME.log.1``: at most twice as much is kept."""


def bound(path: Path, limit: int = LIMIT) -> None:
    """Move a log that has grown beyond the limit to ``NAME.log.1``, in place, since its writer keeps it open."""
    if path.exists() and path.stat().st_size > limit:
        shutil.copy(path, path.with_name(path.name + ".1"))
        os.truncate(path, 0)


def last_line(path: Path) -> str:
    """Return the last line of a log that says something, cut to 500 characters; ``""`` where there is none.

    The frame that Python draws around the trace of an exception group says nothing.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 8192))
            lines = file.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    return next((line.lstrip(" |").rstrip()[:500] for line in reversed(lines) if line.strip(" |+-\t\r")), "")
