"""How long work tells whoever asked for it what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from virtualserver.host.progress import Update

__all__ = ["Report"]


class Report(Protocol):
    """Is told the steps of one piece of work, one after another."""

    def step(self, title: str) -> AbstractContextManager[Update]:
        """Begin a step that lasts as long as the context; what it waits for is told to what the context yields."""
        ...

    def once(self, text: str, share: float | None = None) -> None:
        """Be told why the work cannot begin yet, again and again while that lasts; shown the first time only."""
        ...
