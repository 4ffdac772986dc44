"""The components' logs: quoted where a component fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.host.logs import end_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["last_line"]


def last_line(path: Path) -> str:
    """Return the last line of a log that says something, cut to 500 characters; ``""`` where there is none.

    The frame that Python draws around the trace of an exception group says nothing.
    """
    lines = end_of(path, 8192).decode(errors="replace").split("\n")
    return next((line.lstrip(" |").rstrip()[:500] for line in reversed(lines) if line.strip(" |+-\t\r")), "")
