"""The components' logs: quoted where a component fails."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["last_line"]


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
