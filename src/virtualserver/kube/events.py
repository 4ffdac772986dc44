"""Tells people what was done: Kubernetes Events, as ``kubectl describe`` shows them.

Writing them never holds a controller up: they wait in a bounded queue, repeats are counted instead of written again,
and what cannot be written is dropped with a line in the log. Each is kept for an hour, in the database of all: so a
namespace has so many of them, and namespaces take turns. They are ``core/v1`` Events, which every client reads.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from virtualserver.kube.conditions import sound
from virtualserver.kube.errors import ApiError, NotFound, Unavailable
from virtualserver.kube.objects import Resource
from virtualserver.kube.times import timestamp

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest

__all__ = ["EVENTS", "Event", "Recorder"]

_logger = logging.getLogger(__name__)

EVENTS: Final = Resource("", "v1", "events", "Event")

_WAITING: Final = 1_000
"""So many of a namespace may wait to be written."""
_AT_ONCE: Final = 3_000
"""So many may a namespace have at once, and `_A_SECOND` more in each second: 12 MB in the hour for which they are kept.
Who changes objects without end, each time with another fault, gets no more of them."""
_A_SECOND: Final = 1.0
_REMEMBERED: Final = 2_000
_MESSAGE_LENGTH: Final = 1_024
"""The API's own limit for an Event's message."""
_TRIES: Final = 5


class Event(NamedTuple):
    """What to tell about an object.

    Attributes:
        type: ``Warning`` where somebody should do something.
        reason: One word in CamelCase, for machines.
        message: A sentence for people, without secrets; cut at 1,024 characters.
    """

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


_Identity = tuple[str, str, str, str]
"""(UID, type, reason, message): Events that are equal in these are repeats."""


@dataclasses.dataclass(slots=True)
class _Waiting:
    """What was emitted and not written yet; times in seconds since the epoch."""

    about: Manifest
    first: float
    last: float
    count: int = 1


@dataclasses.dataclass(slots=True)
class _Written:
    """An Event that the server has."""

    name: str
    count: int


class Recorder:
    """Writes Events about objects.

    Args:
        client: An entered client.
        component: Who reports, such as ``virtualserver-operator``.
    """

    def __init__(self, client: Client, *, component: str) -> None:
        self._client = client
        self._component = component
        self._waiting: dict[str, dict[_Identity, _Waiting]] = {}
        self._left: dict[str, tuple[float, float]] = {}
        self._written: dict[_Identity, _Written] = {}
        self._available = asyncio.Event()
        self._dropped = 0

    @property
    def waiting(self) -> int:
        """How many Events wait to be written; at most 1,000 of a namespace."""
        return sum(map(len, self._waiting.values()))

    def emit(self, about: Manifest, event: Event) -> None:
        """Report something about an object; returns at once and never raises.

        Args:
            about: The object, with its UID.
            event: What to tell.
        """
        metadata = about.get("metadata", {})
        identity = (metadata.get("uid", ""), event.type, event.reason, sound(event.message)[:_MESSAGE_LENGTH])
        now, namespace = time.time(), metadata.get("namespace", "")
        others = self._waiting.get(namespace, {})
        waiting = others.get(identity)
        if waiting:
            waiting.count += 1
            waiting.last = now
        elif "name" not in metadata or len(others) >= _WAITING or not self._may_have_one(namespace):
            self._dropped += 1
        else:
            self._waiting.setdefault(namespace, {})[identity] = _Waiting(about, now, now)
            self._available.set()

    def _may_have_one(self, namespace: str) -> bool:
        """Return whether a namespace may have one more Event, and count it."""
        now = time.monotonic()
        left, since = self._left.get(namespace, (_AT_ONCE, now))
        left = min(left + (now - since) * _A_SECOND, _AT_ONCE)
        is_left = left >= 1
        self._left[namespace] = left - is_left, now
        return is_left

    async def run(self) -> None:
        """Write what was emitted, in order, until cancelled; what waits then is lost."""
        while True:
            self._available.clear()
            while self._waiting:
                await self._write_or_drop(*self._next())
            if self._dropped:
                _logger.warning(
                    "%d events were dropped: more were reported than could be written, or than a namespace may have",
                    self._dropped,
                )
                self._dropped = 0
            await self._available.wait()

    def _next(self) -> tuple[_Identity, _Waiting]:
        """Take out the first Event of the namespace whose turn it is."""
        namespace = next(iter(self._waiting))
        events = self._waiting.pop(namespace)
        identity = next(iter(events))
        waiting = events.pop(identity)
        if events:
            self._waiting[namespace] = events
        return identity, waiting

    async def _write_or_drop(self, identity: _Identity, waiting: _Waiting) -> None:
        """Write one Event; a server that is away is waited for a while."""
        for attempt in range(1, _TRIES + 1):
            try:
                await self._write(identity, waiting)
            except Unavailable as error:
                if attempt < _TRIES:
                    await asyncio.sleep(2 ** (attempt - 1))
                    continue
                _logger.warning("event %s dropped: %s", identity[2], error)
            except ApiError as error:
                # Such as in a namespace that is being deleted: nobody will look there.
                _logger.info("event %s dropped: %s", identity[2], error)
            return

    async def _write(self, identity: _Identity, waiting: _Waiting) -> None:
        """Count a repeat in the Event that is there, or create one."""
        namespace = waiting.about["metadata"].get("namespace") or "default"
        written = self._written.pop(identity, None)
        if written:
            count = written.count + waiting.count
            patch = {"count": count, "lastTimestamp": timestamp(waiting.last)}
            try:
                await self._client.patch(
                    EVENTS, written.name, patch, namespace=namespace, field_manager=self._component
                )
            except NotFound:
                pass  # Servers forget Events after an hour.
            except Unavailable:
                self._written[identity] = written
                raise
            else:
                self._remember(identity, _Written(written.name, count))
                return
        event = self._event(identity, waiting, namespace)
        await self._client.create(EVENTS, event, field_manager=self._component)
        self._remember(identity, _Written(event["metadata"]["name"], waiting.count))

    def _event(self, identity: _Identity, waiting: _Waiting, namespace: str) -> dict[str, Any]:
        """Return a new Event."""
        uid, type_, reason, message = identity
        about = waiting.about
        metadata = about["metadata"]
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name'][:230]}.{secrets.token_hex(8)}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": about.get("apiVersion", ""),
                "kind": about.get("kind", ""),
                "namespace": metadata.get("namespace", ""),
                "name": metadata["name"],
                "uid": uid,
                "resourceVersion": metadata.get("resourceVersion", ""),
            },
            "type": type_,
            "reason": reason,
            "message": message,
            "count": waiting.count,
            "firstTimestamp": timestamp(waiting.first),
            "lastTimestamp": timestamp(waiting.last),
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": socket.gethostname(),
        }

    def _remember(self, identity: _Identity, written: _Written) -> None:
        """Keep an Event's name for its repeats; the oldest are forgotten."""
        self._written[identity] = written
        while len(self._written) > _REMEMBERED:
            del self._written[next(iter(self._written))]
