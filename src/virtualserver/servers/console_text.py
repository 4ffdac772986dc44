"""What a guest wrote to its console as lines that people read: pure."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ConsoleText"]

_SEQUENCES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")
"""Colours, places on the screen, titles. Source: ECMA-48, xterm's control sequences."""


class ConsoleText:
    """Turns pieces of a console, which may end anywhere, into lines without what only a terminal understands."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yield the lines that are whole now."""
        *lines, self._rest = (self._rest + self._decoder.decode(piece)).split("\n")
        yield from map(_line, lines)

    def rest(self) -> str:
        """Return the line that has not ended, such as a prompt."""
        return _line(self._rest)


def _line(text: str) -> str:
    """Return a line as a terminal shows it at last: what is written over what was before counts."""
    shown = _SEQUENCES.sub("", text).rstrip("\r")
    return shown.rpartition("\r")[2]
