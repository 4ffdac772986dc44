"""What the reflector and the client outlast, against a stand-in that misbehaves on demand (``faulty_server``)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from harness.waiting import until
from integration.kube.faulty_server import (
    Answer,
    FaultyServer,
    a_bookmark,
    an_error_event,
    an_event,
    an_object,
    faulty_server,
    listing,
    refuse,
    stream,
)
from integration.kube.world import CONFIG_MAPS
from virtualserver.kube.client import Client
from virtualserver.kube.errors import Unavailable
from virtualserver.kube.reflector import Change, Pace, Reflector
from virtualserver.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

QUICK = Pace(pause_seconds=(0.01, 0.1), healthy_seconds=5, read_seconds=30)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FaultyServer]:
    async with faulty_server() as server:
        yield server


@dataclasses.dataclass
class Mirror:
    """A running reflector's store, and what it reported: (name, version), None for a deletion."""

    reflector: Reflector
    store: Store
    changes: list[tuple[str, str | None]]

    def content(self) -> dict[str, str]:
        return {manifest["metadata"]["name"]: manifest["data"]["version"] for manifest in self.store.all()}


@contextlib.asynccontextmanager
async def mirror_of(server: FaultyServer, pace: Pace = QUICK) -> AsyncGenerator[Mirror]:
    changes: list[tuple[str, str | None]] = []

    def note(change: Change) -> None:
        changes.append((change.key[1], change.new["data"]["version"] if change.new else None))

    store = Store()
    async with Client(server.credentials, user_agent="test") as client:
        reflector = Reflector(client, CONFIG_MAPS, store, pace=pace)
        task = asyncio.create_task(reflector.run(note))
        try:
            yield Mirror(reflector, store, changes)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_version_that_is_gone_in_the_stream_leads_to_a_listing_that_shows_deletions(
    server: FaultyServer,
) -> None:
    server.lists = [listing(10, an_object("a", 1), an_object("b", 2)), listing(20, an_object("a", 15))]
    server.watches = [stream(an_error_event(410, "Expired")), stream()]
    async with mirror_of(server) as mirror:
        await until(lambda: len(server.queries("watch")) == 2, "the watch began anew")
        assert mirror.changes == [("a", "1"), ("b", "2"), ("b", None), ("a", "15")]
        assert [query["resourceVersion"] for query in server.queries("watch")] == ["10", "20"]


async def test_a_version_that_is_gone_by_the_answer_leads_to_a_listing_too(server: FaultyServer) -> None:
    server.lists = [listing(10, an_object("a", 1)), listing(20)]
    server.watches = [refuse(410, "Gone"), stream()]
    async with mirror_of(server) as mirror:
        await until(lambda: mirror.changes == [("a", "1"), ("a", None)], "the deletion is seen")


async def test_a_page_that_is_gone_is_followed_by_everything_in_one_piece(server: FaultyServer) -> None:
    server.lists = [
        listing(10, an_object("old", 1), proceed="more"),
        refuse(410, "Expired"),
        listing(20, an_object("a", 11), an_object("b", 12)),
    ]
    async with mirror_of(server) as mirror:
        await asyncio.wait_for(mirror.reflector.synced.wait(), 30)
        assert mirror.content() == {"a": "11", "b": "12"}
        queries = server.queries("list")
        assert [(query.get("limit"), query.get("continue")) for query in queries] == [
            ("500", None),
            ("500", "more"),
            (None, None),
        ]


async def test_a_server_that_always_says_gone_is_not_asked_in_a_hot_loop(server: FaultyServer) -> None:
    server.lists = [listing(10)]
    server.watches = [refuse(410, "Gone")]
    async with mirror_of(server, Pace(pause_seconds=(0.1, 10))):
        await asyncio.sleep(2)
    assert 3 <= len(server.queries("list")) <= 8


@pytest.mark.parametrize("answer", [stream(then="end"), refuse(500, "InternalError"), stream(then="cut")])
async def test_a_watch_that_ends_at_once_is_not_repeated_in_a_hot_loop(server: FaultyServer, answer: Answer) -> None:
    server.lists = [listing(10)]
    server.watches = [answer]
    async with mirror_of(server, Pace(pause_seconds=(0.1, 10))):
        await asyncio.sleep(2)
    assert 3 <= len(server.queries("watch")) <= 8
    assert len(server.queries("list")) == 1


async def test_the_wait_that_a_busy_server_asks_for_is_kept(server: FaultyServer) -> None:
    server.lists = [refuse(429, "TooManyRequests", **{"Retry-After": "1"}), listing(10)]
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with mirror_of(server) as mirror:
        await asyncio.wait_for(mirror.reflector.synced.wait(), 30)
    assert loop.time() - begun >= 1
    assert len(server.queries("list")) == 2


async def test_a_server_that_stays_busy_is_given_up_after_some_tries(server: FaultyServer) -> None:
    server.lists = [refuse(429, "TooManyRequests", **{"Retry-After": "0"})]
    async with Client(server.credentials, user_agent="test") as client:
        with pytest.raises(Unavailable, match="429"):
            await client.list(CONFIG_MAPS)
    assert len(server.queries("list")) == 5


async def test_a_silent_connection_is_given_up_and_the_watch_goes_on(server: FaultyServer) -> None:
    server.lists = [listing(10)]
    server.watches = [stream(an_event("ADDED", "a", 11)), stream(an_event("ADDED", "b", 12))]
    async with mirror_of(server, dataclasses.replace(QUICK, read_seconds=0.5)) as mirror:
        await until(lambda: mirror.content() == {"a": "11", "b": "12"}, "the second watch was opened")
        assert [query["resourceVersion"] for query in server.queries("watch")][:2] == ["10", "11"]


async def test_a_line_that_is_cut_in_two_is_read_again(server: FaultyServer) -> None:
    whole = an_event("ADDED", "b", 12)
    server.lists = [listing(10)]
    server.watches = [stream(an_event("ADDED", "a", 11), whole[:40], then="cut"), stream(whole)]
    async with mirror_of(server) as mirror:
        await until(lambda: mirror.content() == {"a": "11", "b": "12"}, "both objects are there")
        assert mirror.changes == [("a", "11"), ("b", "12")]
        assert server.queries("watch")[1]["resourceVersion"] == "11"


async def test_half_a_line_before_a_proper_end_is_no_event(server: FaultyServer) -> None:
    whole = an_event("ADDED", "a", 11)
    server.lists = [listing(10)]
    server.watches = [stream(whole[:-20], then="end"), stream(whole)]
    async with mirror_of(server) as mirror:
        await until(lambda: mirror.content() == {"a": "11"}, "the object is there")


async def test_events_are_read_whatever_pieces_they_come_in(server: FaultyServer) -> None:
    lines = b"".join(an_event("ADDED", f"m{number}", 11 + number) for number in range(5))
    server.lists = [listing(10)]
    server.watches = [stream(*(lines[start : start + 100] for start in range(0, len(lines), 100)))]
    async with mirror_of(server) as mirror:
        await until(lambda: len(mirror.content()) == 5, "all objects are there")


async def test_events_that_come_twice_are_reported_once_and_bring_nothing_back(server: FaultyServer) -> None:
    events = [an_event("ADDED", "a", 11), an_event("MODIFIED", "a", 12), an_event("DELETED", "a", 13)]
    server.lists = [listing(10)]
    server.watches = [stream(*events, *events, an_event("ADDED", "end", 14))]
    async with mirror_of(server) as mirror:
        await until(lambda: "end" in mirror.content(), "the last event came")
        assert mirror.changes == [("a", "11"), ("a", "12"), ("a", None), ("end", "14")]


async def test_a_bookmark_is_where_the_next_watch_goes_on(server: FaultyServer) -> None:
    server.lists = [listing(10)]
    server.watches = [stream(a_bookmark(99), then="end"), stream()]
    async with mirror_of(server):
        await until(lambda: len(server.queries("watch")) == 2, "the watch began anew")
    assert server.queries("watch")[1]["resourceVersion"] == "99"
    assert all(query["allowWatchBookmarks"] == "true" for query in server.queries("watch"))
    assert all(300 <= int(query["timeoutSeconds"]) <= 600 for query in server.queries("watch"))


async def test_a_server_that_lost_its_past_is_listed_anew(server: FaultyServer) -> None:
    server.lists = [listing(500, an_object("a", 400)), listing(20, an_object("b", 15))]
    server.watches = [stream(a_bookmark(20)), stream(an_event("ADDED", "c", 21))]
    async with mirror_of(server) as mirror:
        await until(lambda: mirror.content() == {"b": "15", "c": "21"}, "the new past is believed")


async def test_a_receiver_that_fails_is_logged_and_the_watch_goes_on(
    server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.lists = [listing(10)]
    server.watches = [stream(an_event("ADDED", "bad", 11), an_event("ADDED", "good", 12))]
    seen: list[str] = []

    def receive(change: Change) -> None:
        seen.append(change.key[1])
        if change.key[1] == "bad":
            raise ZeroDivisionError

    async with Client(server.credentials, user_agent="test") as client:
        task = asyncio.create_task(Reflector(client, CONFIG_MAPS, Store(), pace=QUICK).run(receive))
        await until(lambda: seen == ["bad", "good"], "both were handed on")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert "configmaps n/bad: a change could not be handed on" in caplog.text


async def test_a_fault_that_stays_is_told_once(server: FaultyServer, caplog: pytest.LogCaptureFixture) -> None:
    server.lists = [refuse(403, "Forbidden")]
    async with mirror_of(server) as mirror:
        await until(lambda: len(server.queries("list")) >= 5, "it was tried again")
        assert not mirror.reflector.synced.is_set()
    assert caplog.text.count("cannot be followed") == 1
