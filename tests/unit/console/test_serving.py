from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import os
import socket
import ssl
from typing import TYPE_CHECKING, cast

from aiohttp import web

from harness.waiting import until
from virtualserver.console import body, connections, serving
from virtualserver.console.pages import Pages
from virtualserver.console.settings import Settings
from virtualserver.controlplane.pki import Authority, Certificate
from virtualserver.kube.kubeconfig import Credentials

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NAMED = Certificate("console", "server", names=("127.0.0.1",))


async def shown(port: int) -> str:
    """Return the certificate that is shown at a port."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))


async def test_a_renewed_certificate_is_taken_up_and_half_of_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_RENEWED_SECONDS", 0.01)
    authority = Authority(tmp_path, "ca", datetime.datetime.now(datetime.UTC))
    authority.ensure()
    file, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    authority.issue(NAMED, file, key, owner=os.getuid())
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = Settings(url=f"https://127.0.0.1:{port}", certificate=str(file), key=str(key))
    api = Credentials("https://127.0.0.1:1")

    async with serving.serving_cluster(settings, api, port=port, pages=Pages.saying("hello")):
        first = await shown(port)
        renewed, renewed_key = authority.sign(NAMED, datetime.timedelta(days=1))
        file.write_bytes(renewed)
        await asyncio.sleep(0.1)  # some looks at it
        assert await shown(port) == first
        key.write_bytes(renewed_key)

        async def is_new() -> bool:
            return await shown(port) == renewed.decode()

        await until(is_new, "the renewed certificate")


async def test_who_is_accepted_while_the_console_ends_is_let_go() -> None:
    ends = asyncio.Event()
    async with serving.serving(pages=Pages.saying("hello")) as served:
        port = int(served.url.rpartition(":")[2])
        browsers = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(3)]
        # They are accepted in the turn of the loop in which the console is told to end.
        asyncio.get_running_loop().call_soon(ends.set)
        await ends.wait()
    for browser in browsers:
        with browser:
            assert browser.recv(1) == b""
    gc.collect()  # what was not closed says so, and fails the test


def sent(url: str, words: str, *, room: int = 1 << 16) -> socket.socket:
    """Return a connection on which this was sent; of what comes back, the kernel takes so many bytes unread."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", int(url.rpartition(":")[2])))
    connection.sendall(words.replace("URL", url).replace("HOST", url.partition("://")[2]).encode())
    return connection


def heard(connection: socket.socket) -> bytes:
    """Return all that comes until the other side ends it."""
    found = b""
    with connection, contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 20):
            found += part
    return found


async def test_nobody_holds_a_connection_by_sending_or_taking_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_IDLE_SECONDS", 0.3)
    monkeypatch.setattr(serving, "_STUCK_SECONDS", 0.3)
    monkeypatch.setattr(body, "_SECONDS", 0.3)
    page = "x" * (16 << 20)
    async with serving.serving(pages=Pages.saying(page)) as served:
        nothing, headers = sent(served.url, ""), sent(served.url, "GET / HTTP/1.1\r\nHost: HO")
        form = "POST /sign-in/token HTTP/1.1\r\nHost: HOST\r\nOrigin: URL\r\nContent-Length: 20\r\n\r\n{"
        half = sent(served.url, form)
        unread = sent(served.url, "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n", room=1 << 12)
        assert await asyncio.to_thread(heard, nothing) == await asyncio.to_thread(heard, headers) == b""
        with half:
            assert (await asyncio.to_thread(half.recv, 1 << 10)).startswith(b"HTTP/1.1 408")
        await asyncio.sleep(1)
        assert len(await asyncio.to_thread(heard, unread)) < len(page)


async def test_attack_who_opens_many_connections_keeps_nobody_else_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle ones used up the process's files, after which nobody was accepted for as long as they stayed."""
    monkeypatch.setattr(connections, "_MOST", 8)
    async with serving.serving(pages=Pages.saying("hello")) as served:
        idle = [sent(served.url, "") for _ in range(20)]
        await asyncio.sleep(0.1)
        asking = sent(served.url, "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n")
        assert (await asyncio.to_thread(heard, asking)).endswith(b"hello")
        for one in idle:
            one.close()


async def test_whoever_has_the_most_connections_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST", 8)
    known = connections.Connections()

    async def answer(request: web.BaseRequest) -> web.Response:
        known.name(cast("web.Request", request), request.path)
        return web.Response(text="hello")

    server = web.Server(answer)
    listening = await asyncio.get_running_loop().create_server(known.accepting(server), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    ask = "GET /{} HTTP/1.1\r\nHost: HOST\r\n\r\n"
    hers = [sent(url, ask.format("ann")) for _ in range(2)]
    for one in hers:
        assert (await asyncio.to_thread(one.recv, 1 << 10)).endswith(b"hello")
    his: list[socket.socket] = []
    for _ in range(20):
        his.append(sent(url, ask.format("mallory")))
        assert (await asyncio.to_thread(his[-1].recv, 1 << 10)).endswith(b"hello")
    for one in hers:
        one.sendall(b"GET /ann HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await asyncio.to_thread(one.recv, 1 << 10)).endswith(b"hello")
    assert await asyncio.to_thread(heard, his[0]) == b""
    assert len(server.connections) == 8
    for one in hers + his:
        one.close()
    listening.close()
    await server.shutdown()
