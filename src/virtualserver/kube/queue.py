"""Work to do, by key: each key waits once, has one worker at a time, and comes back if it changed meanwhile.

Namespaces take turns, so that whoever has thousands of keys waiting holds up nobody who has one. One whose keys are
worked on by as many workers as it may have waits, so that it cannot hold all of them either, however long they take.

The rules are those of client-go's work queue: a key that is added while it is worked on is handed out again afterwards,
never at the same time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Container, Hashable
from typing import Final, Generic, TypeVar, cast

__all__ = ["Queue"]

K = TypeVar("K", bound=Hashable)

_FIRST_RETRY_SECONDS: Final = 0.005
_LAST_RETRY_SECONDS: Final = 60.0
_IN_FRONT: Final = 4
"""So many keys go before one of the background that waits meanwhile."""


class _Line(Generic[K]):
    """Keys that wait: those of one namespace in the order in which they came, and the namespaces in turn."""

    def __init__(self) -> None:
        self._turns: dict[Hashable, dict[K, None]] = {}

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._turns.values())

    def __bool__(self) -> bool:
        return bool(self._turns)

    def __contains__(self, key: K) -> bool:
        return key in self._turns.get(_namespace(key), ())

    def add(self, key: K) -> None:
        """Put a key at the end of its namespace's, unless it waits already."""
        self._turns.setdefault(_namespace(key), {}).setdefault(key)

    def remove(self, key: K) -> None:
        """Take a key out, if it waits."""
        keys = self._turns.get(_namespace(key), {})
        keys.pop(key, None)
        if not keys:
            self._turns.pop(_namespace(key), None)

    def take(self, busy: Container[Hashable]) -> tuple[K] | None:
        """Take out the first key of the namespace whose turn it is; None where there is none but of busy ones."""
        for namespace in self._turns:
            if namespace not in busy:
                break
        else:
            return None
        keys = self._turns.pop(namespace)
        key = next(iter(keys))
        del keys[key]
        if keys:
            self._turns[namespace] = keys
        return (key,)


def _namespace(key: Hashable) -> Hashable:
    return cast("tuple[Hashable, ...]", key)[0] if isinstance(key, tuple) and key else None


class Queue(Generic[K]):
    """A queue of keys for the workers of one event loop.

    ``add`` and ``retry`` may be called at any time from that loop's thread; they never block.
    """

    def __init__(self) -> None:
        self._waiting: _Line[K] = _Line()
        self._background: _Line[K] = _Line()
        self._working: set[K] = set()
        self._workers: Counter[Hashable] = Counter()
        self._again: dict[K, bool] = {}
        self._delayed: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._available = asyncio.Event()
        self._hurried: set[K] = set()
        self._behind: set[K] = set()
        self._passed = 0

    def __len__(self) -> int:
        """Return how many keys are ready to be handed out."""
        return len(self._waiting) + len(self._background)

    def add(self, key: K, *, after: float = 0.0, background: bool = False) -> None:
        """Hand the key out, now or later, unless it waits already.

        Args:
            key: What to work on.
            after: Seconds from now. Of several delays for one key the earliest counts; a delay never holds back a key
                that is added without one.
            background: Let keys that users wait for go first, as a resync does.
        """
        if after > 0:
            self._add_later(key, after)
        elif key in self._working:
            self._again[key] = background and self._again.get(key, True)
        elif not background:
            self._background.remove(key)
            self._waiting.add(key)
            self._available.set()
        elif key not in self._waiting:
            self._background.add(key)
            self._available.set()

    def retry(self, key: K, *, longest: float = _LAST_RETRY_SECONDS) -> float:
        """Hand the key out again after a delay that doubles with each call, from 5 ms.

        Args:
            key: What failed.
            longest: The longest delay in seconds.

        Returns:
            The delay in seconds.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(_FIRST_RETRY_SECONDS * 2 ** min(failures, 40), longest)
        self.add(key, after=delay)
        return delay

    def has_news(self, key: K) -> bool:
        """Return whether a key that is worked on was added meanwhile, and not to the background."""
        return not self._again.get(key, True)

    def forget(self, key: K) -> None:
        """Say that the key succeeded: its next failure starts with the shortest delay."""
        self._failures.pop(key, None)

    async def get(self, *, most: int | None = None, behind: int | None = None) -> K:
        """Wait for a key and take it; ``done`` must follow.

        Args:
            most: So many keys of a namespace are worked on at a time; None: any number.
            behind: So many keys of the background are worked on at a time, and none while a key that users wait for is
                (`slow` ends that), but for one after each four of those; None: any number, whenever no other waits.
        """
        while True:
            busy = () if most is None else {one for one, number in self._workers.items() if number >= most}
            taken = self._take(busy, behind)
            if taken is not None:
                break
            self._available.clear()
            await self._available.wait()
        (key,) = taken
        self._working.add(key)
        self._workers[_namespace(key)] += 1
        return key

    def _take(self, busy: Container[Hashable], behind: int | None) -> tuple[K] | None:
        """Take out the key whose turn it is, None where that is none's."""
        lines = [self._waiting]
        if self._passed >= _IN_FRONT:
            lines.insert(0, self._background)
        elif behind is None or (not self._hurried and len(self._behind) < behind):
            lines.append(self._background)
        for line in lines:
            taken = line.take(busy)
            if taken is None:
                continue
            if line is self._background:
                self._passed = 0
                self._behind.update(taken)
            else:
                self._passed += bool(self._background)
                self._hurried.update(taken)
            return taken
        return None

    def slow(self, key: K) -> None:
        """Say that the work on a key takes long: what waits in the background need not wait for its end."""
        self._hurried.discard(key)
        self._behind.discard(key)
        self._available.set()

    def done(self, key: K) -> None:
        """Say that the work on a key ended; if it was added meanwhile, it is handed out again."""
        self._working.discard(key)
        self.slow(key)
        namespace = _namespace(key)
        self._workers[namespace] -= 1
        if not self._workers[namespace]:
            del self._workers[namespace]
        if key in self._again:
            self.add(key, background=self._again.pop(key))

    def _add_later(self, key: K, after: float) -> None:
        """Add the key when its time has come."""
        loop = asyncio.get_running_loop()
        earlier = self._delayed.get(key)
        if earlier and earlier.when() <= loop.time() + after:
            return
        if earlier:
            earlier.cancel()
        self._delayed[key] = loop.call_later(after, self._ripen, key)

    def _ripen(self, key: K) -> None:
        """Add a key whose delay is over."""
        del self._delayed[key]
        self.add(key)
