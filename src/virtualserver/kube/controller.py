"""Runs a reconcile function for every key that needs it: several keys at a time, never one key twice at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from virtualserver.kube.errors import ApiError, Conflict, Unavailable

if TYPE_CHECKING:
    from virtualserver.kube.queue import Queue

__all__ = ["Controller"]

K = TypeVar("K", bound=Hashable)

_logger = logging.getLogger(__name__)

_UNAVAILABLE_SECONDS: Final = 5.0
"""The longest delay while the server is away: its return is nobody's fault and reported by nobody."""
_TELLING_SECONDS: Final = 1.0
"""Conflicts are told from this delay on; before that they are the ordinary course of things."""


class Controller(Generic[K]):
    """Workers that bring the world to what was asked for, key by key.

    Args:
        name: Names it in the log.
        reconcile: Looks at everything about a key and does what is missing; may be cancelled or fail anywhere and is
            then called again. Returns the seconds after which to look again, None for not until something changes.
        queue: Where the keys come from; whoever adds to it need not know the controller. It has no other workers.
        workers: How many keys are worked on at a time.
        resync_seconds: Look at all keys again this often; None for never.
        all_keys: Names these keys; needed with ``resync_seconds``.
        grace_seconds: How long running passes may take to end when the controller is cancelled.
    """

    def __init__(
        self,
        *,
        name: str,
        reconcile: Callable[[K], Awaitable[float | None]],
        queue: Queue[K],
        workers: int = 4,
        resync_seconds: float | None = None,
        all_keys: Callable[[], Iterable[K]] | None = None,
        grace_seconds: float = 5.0,
    ) -> None:
        self._queue = queue
        self._name = name
        self._reconcile = reconcile
        self._workers = workers
        self._resync_seconds = resync_seconds
        self._all_keys = all_keys
        self._grace_seconds = grace_seconds
        self._idle: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self._said: dict[K, str] = {}

    async def run(self) -> None:
        """Work until cancelled; then no new pass begins, and running ones get ``grace_seconds`` to end."""
        self._is_stopping = False
        tasks = [asyncio.create_task(self._work(), name=f"{self._name}-{number}") for number in range(self._workers)]
        resync = asyncio.create_task(self._resync(), name=f"{self._name}-resync")
        try:
            # Not gather: it would cancel the passes at once when it is cancelled itself.
            done, _ = await asyncio.wait([*tasks, resync], return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            self._is_stopping = True
            resync.cancel()
            for task in self._idle:
                task.cancel()
            try:
                await asyncio.wait(tasks, timeout=self._grace_seconds)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, resync, return_exceptions=True)

    async def _work(self) -> None:
        """Take keys and reconcile them, one after the other."""
        this = asyncio.current_task()
        assert this is not None  # noqa: S101 - a coroutine that runs has its task
        while not self._is_stopping:
            self._idle.add(this)
            try:
                key = await self._queue.get()
            finally:
                self._idle.discard(this)
            try:
                await self._pass(key)
            finally:
                self._queue.done(key)

    async def _pass(self, key: K) -> None:
        """Reconcile one key once, and decide when it comes next."""
        try:
            after = await self._reconcile(key)
        except Conflict as error:
            delay = self._queue.retry(key)
            if delay >= _TELLING_SECONDS:
                self._tell(key, error, delay)
        except Unavailable as error:
            self._tell(key, error, self._queue.retry(key, longest=_UNAVAILABLE_SECONDS))
        except Exception as error:
            self._tell(key, error, self._queue.retry(key))
        else:
            self._queue.forget(key)
            self._said.pop(key, None)
            if after is not None:
                self._queue.add(key, after=max(after, 0.001))

    def _tell(self, key: K, error: Exception, delay: float) -> None:
        """Log a failure unless it was the key's last one too; our own faults come with their traceback."""
        words = f"{type(error).__name__}: {error}"
        if self._said.get(key) == words:
            return
        self._said[key] = words
        trace = None if isinstance(error, ApiError) else error
        _logger.error("%s %s failed, next try in %.3g s: %s", self._name, _words(key), delay, words, exc_info=trace)

    async def _resync(self) -> None:
        """Look at every key now and then, behind what users wait for."""
        if self._resync_seconds is None or self._all_keys is None:
            return
        while True:
            await asyncio.sleep(self._resync_seconds)
            for key in list(self._all_keys()):
                self._queue.add(key, background=True)


def _words(key: Hashable) -> str:
    """Return a key as people write it: ``namespace/name``."""
    if isinstance(key, tuple):
        return "/".join(str(part) for part in key if part)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(key)
