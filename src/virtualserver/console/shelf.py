"""What is kept in this process's memory until its time is over: bounded in number, so that nobody pushes out others."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Generic, TypeVar

from virtualserver.console.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Shelf"]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    owner: str
    ends: float
    thing: T = dataclasses.field(repr=False)


class Shelf(Generic[T]):
    """Things that end by themselves."""

    def __init__(self, *, most: int, most_of_one: int, clock: Callable[[], float] = now) -> None:
        """Keep none yet.

        Args:
            most: So many may be kept; one more ends the oldest.
            most_of_one: The same of one owner, so that nobody pushes out another's.
            clock: Seconds, from any beginning.
        """
        self._most = most
        self._most_of_one = most_of_one
        self._clock = clock
        self._kept: dict[str, _Kept[T]] = {}

    def put(self, key: str, thing: T, *, owner: str, seconds: float) -> None:
        """Keep a thing.

        Args:
            key: By which it is found; no other thing has it.
            thing: The thing.
            owner: Whose it is.
            seconds: How long.
        """
        own = [other for other, kept in self._kept.items() if kept.owner == owner]
        if len(own) >= self._most_of_one or len(self._kept) >= self._most:
            del self._kept[own[0] if len(own) >= self._most_of_one else next(iter(self._kept))]
        self._kept[key] = _Kept(owner, self._clock() + seconds, thing)

    def find(self, key: str) -> T | None:
        """Return the thing of a key, None where there is none, or none any more."""
        kept = self._kept.get(key)
        if kept is None or self._clock() >= kept.ends:
            self._kept.pop(key, None)
            return None
        return kept.thing

    def take(self, key: str) -> T | None:
        """Return what `find` returns, and keep it no longer."""
        thing = self.find(key)
        self._kept.pop(key, None)
        return thing

    def remaining(self, key: str) -> float:
        """Return for how many seconds a thing is kept, 0 where it is not."""
        kept = self._kept.get(key)
        return max(kept.ends - self._clock(), 0.0) if kept else 0.0
