"""So many streams may a namespace and a user have, and no more; nobody's count against another's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from virtualserver.node.served.streams import MOST_OF_A_NAMESPACE, MOST_OF_A_USER, Streams

if TYPE_CHECKING:
    from virtualserver.node.served.streams import Peer


def a_request(namespace: str, user: str) -> web.Request:
    match = {"namespace": namespace, "name": "web"}
    return make_mocked_request("GET", "/", headers={"X-Remote-User": user}, match_info=match)


async def never() -> Peer:
    raise AssertionError("it was not refused")


class Opened:
    """Streams that are being opened, and stay so."""

    def __init__(self) -> None:
        self.streams = Streams()
        self._tasks: list[asyncio.Task[web.StreamResponse]] = []

    async def open(self, namespace: str, user: str, *, count: int) -> None:
        begun = asyncio.Semaphore(0)

        async def wait() -> Peer:
            begun.release()
            return await asyncio.Future()

        for _ in range(count):
            self._tasks.append(asyncio.create_task(self.streams.serve(a_request(namespace, user), wait)))
            await begun.acquire()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_a_namespace_has_so_many_and_others_have_theirs() -> None:
    opened = Opened()
    await opened.open("one", "ada", count=MOST_OF_A_NAMESPACE)
    with pytest.raises(web.HTTPTooManyRequests) as refused:
        await opened.streams.serve(a_request("one", "bob"), never)
    assert "namespace one has 64" in (refused.value.text or "")
    await opened.open("two", "bob", count=1)
    await opened.close()
    await opened.open("one", "ada", count=1)
    await opened.close()


async def test_a_user_has_so_many_in_all_namespaces_together() -> None:
    opened = Opened()
    await opened.open("one", "ada", count=MOST_OF_A_USER // 2)
    await opened.open("two", "ada", count=MOST_OF_A_USER // 2)
    with pytest.raises(web.HTTPTooManyRequests):
        await opened.streams.serve(a_request("three", "ada"), never)
    await opened.open("one", "bob", count=1)
    await opened.close()
