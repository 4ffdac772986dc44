"""Text of others, shown so that it can do nothing to a terminal: what has no face is written as an escape."""

from __future__ import annotations

import faulthandler
import logging
import unicodedata
from typing import Final

__all__ = ["LogFormatter", "begin_log", "visible"]

_FACELESS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control characters of both sets, DEL, what turns the direction of writing round, halves of characters, line ends."""


def visible(text: str, *, keep: str = "") -> str:
    r"""Return a text with ``\x1b`` for ESC, ``\u202e`` for what turns it round, and so on.

    Args:
        text: Anybody's.
        keep: Characters that stay, such as a message's own line ends.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character in keep or unicodedata.category(character) not in _FACELESS
        else character.encode("unicode_escape").decode()
        for character in text
    )


class LogFormatter(logging.Formatter):
    """Writes log lines with their time, level and place; a message's and a traceback's line ends stay."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        return visible(super().format(record), keep="\n\t")


def begin_log(level: int | str = logging.INFO) -> None:
    """Write this process's log to standard error, in lines that do nothing to a terminal.

    A process that is ended because it stands still says there where it did.

    Args:
        level: From which level on lines are written, as `logging` takes it.
    """
    faulthandler.enable()
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter())
    logging.basicConfig(level=level, handlers=[handler])
