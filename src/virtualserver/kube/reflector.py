"""Keeps a store equal to what the API server has of one kind, whatever happens to the connection.

One paged LIST, then a WATCH that goes on from the last version seen; when the server has forgotten that version (410),
a LIST again, and the *difference* to what was known is reported, so that deletions nobody heard of are seen.
Nothing here loops without a pause, and a connection silent for longer than the server's bookmarks are apart is dead.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import random
from typing import TYPE_CHECKING, Final

from virtualserver.kube.errors import ApiError, Gone
from virtualserver.kube.store import Change, Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.kube.client import Client, WatchEvent
    from virtualserver.kube.objects import Resource

__all__ = ["Change", "Pace", "Reflector"]

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """How patient a reflector is; the defaults are for real servers.

    Attributes:
        pause_seconds: The shortest and the longest pause between two connections.
        healthy_seconds: A watch that lasted this long starts again with the shortest pause.
        watch_seconds: Between these, at random, the server is asked to end a watch, so that not all end at once.
        read_seconds: A watch silent for this long is given up; servers send bookmarks about every minute.
        page: Objects in one answer to a LIST.
    """

    pause_seconds: tuple[float, float] = (0.1, 10.0)
    healthy_seconds: float = 10.0
    watch_seconds: tuple[int, int] = (300, 600)
    read_seconds: float = 120.0
    page: int = 500


_DEFAULT_PACE: Final = Pace()


class Reflector:
    """Mirrors the objects of one kind into a store, and says what changed.

    Attributes:
        synced: Set once the store holds a whole listing; it stays set.
        listings: How often the kind was listed, for metrics and tests.

    Args:
        client: An entered client.
        resource: The kind.
        store: Only this reflector and ``Store.remember`` write it.
        namespace: ``""`` means all.
        label_selector: As ``kubectl -l`` has it.
        field_selector: As ``kubectl --field-selector`` has it.
        pace: Pauses and deadlines.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        store: Store,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        pace: Pace = _DEFAULT_PACE,
    ) -> None:
        self.synced = asyncio.Event()
        self.listings = 0
        self._client = client
        self._resource = resource
        self._store = store
        self._scope = {"namespace": namespace, "label_selector": label_selector, "field_selector": field_selector}
        self._pace = pace
        self._version = ""

    async def run(self, receive: Callable[[Change], None]) -> None:
        """Mirror until cancelled. Faults are logged when they change, and outlasted.

        Args:
            receive: Called for each change once the store has it; must neither block nor raise (that is logged).
        """
        loop = asyncio.get_running_loop()
        failures = 0
        said = ""
        while True:
            started = loop.time()
            wait = 0.0
            try:
                if not self._version:
                    await self._list(receive)
                await self._watch(receive)
                said = ""
            except Gone as error:
                _logger.info("%s: listing anew: %s", self._resource.plural, error)
                self._version = ""
            except ApiError as error:
                wait = error.retry_after or 0.0
                if str(error) != said:
                    said = str(error)
                    _logger.warning("%s: cannot be followed, trying on: %s", self._resource.plural, said)
            failures = 0 if loop.time() - started >= self._pace.healthy_seconds else failures + 1
            shortest, longest = self._pace.pause_seconds
            pause = min(longest, shortest * 2 ** min(max(failures - 1, 0), 30))
            await asyncio.sleep(max(wait, pause * random.uniform(0.5, 1.0)))  # noqa: S311 - spreads load, no secret

    async def _list(self, receive: Callable[[Change], None]) -> None:
        """Read the whole kind and report how it differs from what was known."""
        self._store.begin_replace()
        listing = await self._client.snapshot(self._resource, **self._scope, page=self._pace.page)
        self.listings += 1
        self._version = listing.resource_version
        for change in self._store.replace(listing.items, version=int(self._version)):
            await self._report(change, receive)
        self.synced.set()

    async def _watch(self, receive: Callable[[Change], None]) -> None:
        """Follow changes until the server ends the stream, as it does every few minutes."""
        events = self._client.watch(
            self._resource,
            resource_version=self._version,
            **self._scope,
            timeout_seconds=random.randint(*self._pace.watch_seconds),  # noqa: S311 - spreads load, no secret
            read_seconds=self._pace.read_seconds,
        )
        async with contextlib.aclosing(events):
            async for event in events:
                change = self._take(event)
                if change:
                    await self._report(change, receive)

    def _take(self, event: WatchEvent) -> Change | None:
        """Put one event into the store and return what changed, None where nothing did."""
        version = event.object["metadata"]["resourceVersion"]
        if event.type == "BOOKMARK":
            if int(version) < int(self._version):
                # The server lost its past (a new or restored etcd) and would be silent until it reaches our version.
                raise Gone(f"the server is at version {version}, before {self._version}", status=410)
            self._version = version
            self._store.advance(int(version))
            return None
        change = self._store.drop(event.object) if event.type == "DELETED" else self._store.put(event.object)
        self._version = version
        return change

    async def _report(self, change: Change, receive: Callable[[Change], None]) -> None:
        """Hand a change on; a fault in the receiver must not end the watch, nor many changes keep others waiting."""
        try:
            receive(change)
        except Exception:
            _logger.exception("%s %s: a change could not be handed on", self._resource.plural, "/".join(change.key))
        # A listing has thousands of them at once, and events come in one piece.
        await asyncio.sleep(0)
