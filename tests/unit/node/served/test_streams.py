"""So many streams may a namespace and a user have, and no more; nobody's count against another's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from multidict import CIMultiDict

from virtualserver.kube.errors import ApiError
from virtualserver.node.served.rights import Rights
from virtualserver.node.served.streams import MOST_OF_A_NAMESPACE, MOST_OF_A_USER, PROTOCOL, Streams

if TYPE_CHECKING:
    from virtualserver.node.served.streams import Peer


def a_request(namespace: str, user: str) -> web.Request:
    match = {"namespace": namespace, "name": "web"}
    return make_mocked_request("GET", "/", headers={"X-Remote-User": user}, match_info=match)


async def never() -> Peer:
    raise AssertionError("it was not refused")


async def for_ever(_: web.Request) -> bool:
    return True


class Opened:
    """Streams that are being opened, and stay so."""

    def __init__(self) -> None:
        self.streams = Streams(still_has=for_ever)
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


class Silent:
    """A guest that says nothing."""

    def __init__(self) -> None:
        self.is_closed = False

    async def read(self) -> bytes:
        return await asyncio.Future()

    async def write(self, data: bytes) -> None:
        del data

    def close(self) -> None:
        self.is_closed = True


async def test_who_may_not_have_a_stream_any_more_loses_it() -> None:
    looks: list[str] = []

    async def still_has(request: web.Request) -> bool:
        looks.append(request.headers["X-Remote-User"])
        return len(looks) < 3

    streams, guest = Streams(still_has=still_has, look_seconds=0.02), Silent()

    async def connect() -> Peer:
        return guest

    async def serve(request: web.Request) -> web.StreamResponse:
        return await streams.serve(request, connect)

    application = web.Application()
    application.router.add_get("/{namespace}", serve)
    user = {"X-Remote-User": "ada"}
    async with (
        TestClient(TestServer(application)) as client,
        client.ws_connect("/one", headers=user, protocols=(PROTOCOL,)) as opened,
    ):
        ended = await asyncio.wait_for(opened.receive(), 10)
    assert ended.type is WSMsgType.CLOSE
    assert (looks, guest.is_closed) == (["ada"] * 3, True)


@pytest.mark.parametrize(
    ("path", "resource", "subresource"),
    [
        ("virtualmachineinstances/web/console/log", "virtualmachineinstances", "console"),
        ("virtualmachines/web/portforward/22/tcp", "virtualmachines", "portforward"),
    ],
)
async def test_the_right_is_that_which_was_asked_for(path: str, resource: str, subresource: str) -> None:
    asked: list[Any] = []

    class Api:
        async def request(self, method: str, path: str, *, body: dict[str, Any]) -> dict[str, Any]:
            assert method == "POST" and path.endswith("/subjectaccessreviews")
            asked.append(body["spec"])
            return {"status": {"allowed": False}}

    headers = CIMultiDict([("X-Remote-User", "ada"), ("X-Remote-Group", "a"), ("X-Remote-Group", "b")])
    url = f"/apis/subresources.kubevirt.io/v1/namespaces/shop/{path}"
    assert not await Rights(cast("Any", Api())).still_has(make_mocked_request("GET", url, headers=headers))
    attributes = {"group": "subresources.kubevirt.io", "namespace": "shop", "name": "web", "verb": "get"}
    attributes |= {"resource": resource, "subresource": subresource}
    assert asked == [{"user": "ada", "groups": ["a", "b"], "resourceAttributes": attributes}]


async def test_a_stream_goes_on_while_the_api_server_is_away() -> None:
    class Away:
        async def request(self, *_: object, **__: object) -> dict[str, Any]:
            raise ApiError("it restarts", status=503)

    url = "/apis/subresources.kubevirt.io/v1/namespaces/shop/virtualmachineinstances/web/vnc"
    assert await Rights(cast("Any", Away())).still_has(make_mocked_request("GET", url))
