from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache, Watch
from virtualserver.kube.client import Client, Listing, WatchEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from virtualserver.kube.objects import Manifest, Resource
    from virtualserver.kube.store import Change


def a_service(name: str, *, namespace: str = "one", version: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-of-{name}", "resourceVersion": version}
    return {"kind": "Service", "metadata": metadata, "spec": spec}


class Server:
    """Answers as a client would: one listing a kind, then the events that are put."""

    def __init__(self, **listings: list[Manifest]) -> None:
        self.listings = listings
        self.events: dict[str, asyncio.Queue[WatchEvent]] = {}
        self.selectors: dict[str, str] = {}

    async def snapshot(self, resource: Resource, *, label_selector: str, **_: Any) -> Listing:
        self.selectors[resource.plural] = label_selector
        return Listing(self.listings.get(resource.plural, []), "20")

    async def watch(self, resource: Resource, **_: Any) -> AsyncGenerator[WatchEvent]:
        queue = self.events.setdefault(resource.plural, asyncio.Queue())
        while True:
            yield await queue.get()


@contextlib.asynccontextmanager
async def running(cache: Cache) -> AsyncGenerator[asyncio.Queue[tuple[Resource, Change]]]:
    received: asyncio.Queue[tuple[Resource, Change]] = asyncio.Queue()
    task = asyncio.create_task(cache.run(lambda resource, change: received.put_nowait((resource, change))))
    try:
        await asyncio.wait_for(cache.synced(), 10)
        yield received
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def a_cache(server: Server) -> Cache:
    ports = Watch(indexes={"port": lambda one: [str(port) for port in one["spec"].get("ports", ())]})
    return Cache(cast("Client", server), {kinds.SERVICE: ports, kinds.SECRET: Watch(label_selector="ours")})


async def test_it_answers_of_every_kind_that_it_follows_once_it_is_synced() -> None:
    web, other = a_service("web", version="10", ports=[80]), a_service("web", namespace="two", version="11")
    server = Server(services=[web, other])
    async with running(cache := a_cache(server)) as received:
        assert received.qsize() == 2, "what exists at the start is received too"
        assert cache.get(kinds.SERVICE, ("one", "web")) == web
        assert cache.get(kinds.SERVICE, ("one", "db")) is None
        assert cache.get(kinds.SECRET, ("one", "web")) is None
        assert sorted(map(str, cache.all(kinds.SERVICE))) == sorted(map(str, [web, other]))
        assert cache.in_namespace(kinds.SERVICE, "two") == [other]
        assert cache.by_index(kinds.SERVICE, "port", "80") == [web]
        assert server.selectors == {"services": "", "secrets": "ours"}


async def test_the_receiver_hears_the_kind_and_whether_the_write_was_ours() -> None:
    web = a_service("web", version="10")
    server = Server(services=[web])
    async with running(cache := a_cache(server)) as received:
        await received.get()
        ours, theirs = a_service("web", version="21", ports=[1]), a_service("web", version="22", ports=[2])
        assert cache.remember(kinds.SERVICE, ours) is ours
        assert cache.get(kinds.SERVICE, ("one", "web")) == ours
        for manifest in (ours, theirs):
            server.events["services"].put_nowait(WatchEvent("MODIFIED", manifest))
        for before, after, is_own in ((web, ours, True), (ours, theirs, False)):
            resource, change = await asyncio.wait_for(received.get(), 10)
            assert (resource, change.old, change.new, change.is_own) == (kinds.SERVICE, before, after, is_own)


async def test_an_object_that_an_index_cannot_read_is_there_and_ends_nothing() -> None:
    """An index function that raised ended the reflector, so the process, and again at each start."""
    server = Server(services=[a_service("odd", version="9", ports=7), a_service("web", version="10", ports=[80])])
    async with running(cache := a_cache(server)) as received:
        assert received.qsize() == 2
        assert cache.get(kinds.SERVICE, ("one", "odd")) is not None
        for version, ports in (("21", 8), ("22", [80])):
            event = WatchEvent("MODIFIED", a_service("odd", version=version, ports=ports))
            server.events["services"].put_nowait(event)
        while cache.get(kinds.SERVICE, ("one", "odd")) != event.object:
            await asyncio.wait_for(received.get(), 10)
        assert [one["metadata"]["name"] for one in cache.by_index(kinds.SERVICE, "port", "80")] == ["odd", "web"]


def test_a_kind_that_is_not_followed_is_an_error() -> None:
    with pytest.raises(KeyError):
        a_cache(Server()).get(kinds.NODE, ("", "one"))
