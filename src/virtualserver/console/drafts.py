"""Texts that people have begun and not saved: kept in this process's memory, by user, bounded in size and time.

A browser's own storage would keep them on disk, where passwords in them outlive everything.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from virtualserver.console.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEPT_SECONDS", "LARGEST", "MOST", "Drafts"]

KEPT_SECONDS: Final = 24 * 3600.0
LARGEST: Final = 1 << 20
"""Characters of one text; an API server takes no larger object."""
MOST: Final = 32
"""Texts of one user; one more ends the oldest."""
_MOST_USERS: Final = 64


@dataclasses.dataclass(frozen=True, slots=True)
class _Draft:
    text: str = dataclasses.field(repr=False)
    ends: float


class Drafts:
    """All users' texts."""

    def __init__(self, *, clock: Callable[[], float] = now) -> None:
        """Keep none yet.

        Args:
            clock: Seconds, from any beginning.
        """
        self._clock = clock
        self._kept: dict[str, dict[str, _Draft]] = {}

    def keep(self, user: str, name: str, text: str) -> bool:
        """Keep a text, and return whether it is; one that is too large is not, and what was kept before stays.

        Args:
            user: Whose it is.
            name: What it is of; a later one of this name takes its place.
            text: The text.
        """
        if len(text) > LARGEST:
            return False
        own = self._kept.pop(user, {})
        own.pop(name, None)
        own[name] = _Draft(text, self._clock() + KEPT_SECONDS)
        while len(own) > MOST:
            del own[next(iter(own))]
        self._kept[user] = own  # the last: who has kept nothing for longest is the first to lose it
        while len(self._kept) > _MOST_USERS:
            del self._kept[next(iter(self._kept))]
        return True

    def find(self, user: str, name: str) -> str | None:
        """Return a user's text, None where there is none, or none any more."""
        draft = self._kept.get(user, {}).get(name)
        if draft is None or self._clock() >= draft.ends:
            self.drop(user, name)
            return None
        return draft.text

    def drop(self, user: str, name: str) -> None:
        """Forget a text."""
        self._kept.get(user, {}).pop(name, None)
