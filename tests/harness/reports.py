"""Who hears what a command is doing, where no test listens."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from virtualserver.host.progress import Update

__all__ = ["Unseen", "quiet"]


def quiet(what: str, share: float | None) -> None:
    """Take what a step waits for."""
    del what, share


class Unseen:
    """A report that nobody reads."""

    @contextlib.contextmanager
    def step(self, title: str) -> Generator[Update]:
        """Begin a step, which has a title."""
        assert title
        yield quiet

    def once(self, text: str, share: float | None = None) -> None:
        """Take a sentence."""
        del text, share
