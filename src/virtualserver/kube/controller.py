"""Runs a reconcile function for every key that needs it: several keys at a time, never one key twice at a time.

A pass waits for the API server, for QEMU, for a disk, and who makes that take long holds up only its own: a namespace
has so many passes at a time, and a pass that takes long does not count among those of all namespaces, however many
there are of one tenant (docs/adr/0026-places.md).
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from virtualserver.kube.errors import ApiError, Conflict, Unavailable
from virtualserver.kube.trouble import Trouble, fault_of, number_of

if TYPE_CHECKING:
    from virtualserver.host.pulse import Pulse
    from virtualserver.kube.aside import Aside
    from virtualserver.kube.objects import Manifest
    from virtualserver.kube.queue import Queue

__all__ = ["Controller", "Oversight", "Subject"]

K = TypeVar("K", bound=Hashable)

_logger = logging.getLogger(__name__)

_UNAVAILABLE_SECONDS: Final = 5.0
"""The longest delay while the server is away: its return is nobody's fault and reported by nobody."""
_SPARE_PLACES: Final = 2
"""Places that a namespace which has as many as it may have leaves to others."""
_BEHIND: Final = 2
"""Passes at a time over keys for which nobody waits: each takes time from the API server that others wait for."""
_PLACE_SECONDS: Final = 0.5
"""A pass that takes longer goes on without a place: it waits for something, and others need not wait with it."""
_TELLING_SECONDS: Final = 1.0
"""Conflicts are told from this delay on; before that they are the ordinary course of things."""


@dataclasses.dataclass(frozen=True, slots=True)
class Oversight:
    """How it is seen, from outside of a process and after its end, at which object its loop stood still.

    Attributes:
        pulse: Names the work while it is done.
        aside: Says what is left alone.
    """

    pulse: Pulse
    aside: Aside


@dataclasses.dataclass(frozen=True, slots=True)
class Subject(Generic[K]):
    """What the keys of a controller stand for.

    Attributes:
        find: Returns the object of a key as it is known, None where it is gone.
        tell: Says on the object that it is in trouble, in a condition of its own; the next pass that succeeds takes
            that back. It may fail as any write may.
    """

    find: Callable[[K], Manifest | None]
    tell: Callable[[K, Trouble], Awaitable[None]]


class Controller(Generic[K]):
    """Passes that bring the world to what was asked for, key by key.

    Args:
        name: Names it in the log.
        reconcile: Looks at everything about a key and does what is missing; may be cancelled or fail anywhere and is
            then called again. Returns the seconds after which to look again, None for not until something changes.
        queue: Where the keys come from; whoever adds to it need not know the controller. It has no other workers.
        workers: How many keys of one namespace are worked on at a time; a few more begin at a time of all namespaces.
        resync_seconds: Look at all keys again this often; None for never.
        all_keys: Names these keys; needed with ``resync_seconds``.
        grace_seconds: How long running passes may take to end when the controller is cancelled.
        subject: The objects of the keys, which are told of faults of ours; None where keys are no objects.
        oversight: None where nobody watches the process.
    """

    def __init__(
        self,
        *,
        name: str,
        reconcile: Callable[[K], Coroutine[Any, Any, float | None]],
        queue: Queue[K],
        workers: int = 4,
        resync_seconds: float | None = None,
        all_keys: Callable[[], Iterable[K]] | None = None,
        grace_seconds: float = 5.0,
        subject: Subject[K] | None = None,
        oversight: Oversight | None = None,
    ) -> None:
        self._queue = queue
        self._name = name
        self._reconcile = reconcile
        self._workers = workers
        self._resync_seconds = resync_seconds
        self._all_keys = all_keys
        self._grace_seconds = grace_seconds
        self._subject = subject
        self._oversight = oversight
        self._passes: set[asyncio.Task[None]] = set()
        self._placed: set[K] = set()
        self._has_place = asyncio.Event()
        self._said: dict[K, str] = {}

    async def run(self) -> None:
        """Work until cancelled; then no new pass begins, and running ones get ``grace_seconds`` to end."""
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        given = asyncio.create_task(self._give(), name=f"{self._name}-queue")
        resync = asyncio.create_task(self._resync(), name=f"{self._name}-resync")
        try:
            # Not gather: it would cancel the passes at once when it is cancelled itself.
            done, _ = await asyncio.wait([given, resync, self._failure], return_when=asyncio.FIRST_EXCEPTION)
            for one in done:
                one.result()
        finally:
            for task in (given, resync):
                task.cancel()
            await asyncio.gather(given, resync, return_exceptions=True)
            passes = set(self._passes)
            try:
                if passes:
                    await asyncio.wait(passes, timeout=self._grace_seconds)
            finally:
                for task in passes:
                    task.cancel()
                await asyncio.gather(*passes, return_exceptions=True)
                self._failure.cancel()

    async def _give(self) -> None:
        """Take keys and have a pass over each, where there is a place for one more."""
        loop = asyncio.get_running_loop()
        while True:
            while len(self._placed) >= self._workers + _SPARE_PLACES:
                self._has_place.clear()
                await self._has_place.wait()
            key = await self._queue.get(most=self._workers, behind=_BEHIND)
            self._placed.add(key)
            late = loop.call_later(_PLACE_SECONDS, self._give_place, key)
            task = asyncio.create_task(self._pass(key), name=f"{self._name} {_words(key)}")
            self._passes.add(task)
            task.add_done_callback(functools.partial(self._over, key, late))

    def _give_place(self, key: K) -> None:
        """Leave the place of a pass to another one, unless that is so already."""
        self._placed.discard(key)
        self._queue.slow(key)
        self._has_place.set()

    def _over(self, key: K, late: asyncio.TimerHandle, task: asyncio.Task[None]) -> None:
        """Note that a pass has ended."""
        late.cancel()
        self._passes.discard(task)
        self._give_place(key)
        self._queue.done(key)
        if not task.cancelled() and (error := task.exception()) and not self._failure.done():
            self._failure.set_exception(error)

    async def _pass(self, key: K) -> None:
        """Reconcile one key once, and decide when it comes next."""
        if await self._leave(key):
            return
        try:
            after = await self._look(key)
        except Conflict as error:
            delay = self._queue.retry(key)
            if delay >= _TELLING_SECONDS:
                self._log(key, error, delay)
        except Unavailable as error:
            self._log(key, error, self._queue.retry(key, longest=_UNAVAILABLE_SECONDS))
        except ApiError as error:
            self._log(key, error, self._queue.retry(key))
        except Exception as error:
            self._log(key, error, self._queue.retry(key))
            await self._tell(key, fault_of(error))
        else:
            self._queue.forget(key)
            self._said.pop(key, None)
            if after is not None:
                self._queue.add(key, after=max(after, 0.001))

    async def _look(self, key: K) -> float | None:
        """Do the pass itself, so that what ends it from outside leaves behind what it was."""
        if self._oversight is None:
            return await self._reconcile(key)
        after = await self._oversight.pulse.during(self._work_of(key), self._reconcile(key))
        self._oversight.aside.over(self._work_of(key))
        return after

    async def _leave(self, key: K) -> bool:
        """Leave a key alone whose object is set aside, say so on the object, and return whether that is so."""
        if self._oversight is None or self._subject is None:
            return False
        try:
            found = self._oversight.aside.trouble(self._work_of(key), self._subject.find(key))
        except Exception:
            _logger.exception("%s: whether it is set aside cannot be said", self._work_of(key))
            return False
        if found is None:
            return False
        trouble, seconds = found
        self._queue.add(key, after=seconds)
        await self._tell(key, trouble)
        return True

    async def _tell(self, key: K, trouble: Trouble) -> None:
        """Say on the object that it is in trouble; where that fails too, the log has it."""
        if self._subject is None:
            return
        try:
            await self._subject.tell(key, trouble)
        except Exception as error:
            _logger.warning("%s: its trouble could not be written: %s", self._work_of(key), error)

    def _work_of(self, key: K) -> str:
        """Return what a pass over a key is called."""
        return f"{self._name} {_words(key)}"

    def _log(self, key: K, error: Exception, delay: float) -> None:
        """Log a failure unless it was the key's last one too; our own faults come with number and traceback."""
        words = f"{type(error).__name__}: {error}"
        if self._said.get(key) == words:
            return
        self._said[key] = words
        trace = None if isinstance(error, ApiError) else error
        number = f" (fault {number_of(error)})" if trace else ""
        _logger.error("%s failed%s, next try in %.3g s: %s", self._work_of(key), number, delay, words, exc_info=trace)

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
