"""Probes of a server on loopback: what is asked, and what is said of the answers."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import pytest

from virtualserver.fabric.desired.state import GuestLink, Resolver
from virtualserver.host.accepting import end_accepting
from virtualserver.kube.queue import Queue
from virtualserver.node.vmi.probes import Health, Probes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from virtualserver.kube.objects import Key

LINK = GuestLink(
    device="none",
    mac="02:00:00:00:00:01",
    addresses=(ipaddress.ip_address("127.0.0.1"),),
    hostname="web",
    resolver=Resolver((), ()),
    user=1,
)


class Guest:
    """A server that sends what it is told to, byte by byte as it stands; nothing where ``says`` is empty."""

    def __init__(self) -> None:
        self.says = b""
        self.port = 0

    async def answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.says:
                writer.write(self.says)
                await writer.drain()
            else:
                await asyncio.sleep(30)
        finally:
            writer.close()


@pytest.fixture
async def guest() -> AsyncIterator[Guest]:
    guest = Guest()
    server = await asyncio.start_server(guest.answer, "127.0.0.1", 0)
    guest.port = server.sockets[0].getsockname()[1]
    yield guest
    await end_accepting(server)


async def seen(port: int, handler: str) -> tuple[Health, str]:
    """Return what is said of a guest after its first attempt."""
    probe: dict[str, Any] = {handler: {"port": port}, "timeoutSeconds": 1, "periodSeconds": 1}
    vmi = {"metadata": {"namespace": "a", "name": "web", "uid": "u"}, "spec": {"readinessProbe": probe}}
    changed: Queue[Key] = Queue()
    probes = Probes(changed, lambda _family: socket.socket(socket.AF_INET))
    assert probes.health(vmi, LINK) is Health.NOT_READY
    try:
        assert await asyncio.wait_for(changed.get(), 30) == ("a", "web")
        return probes.health(vmi, LINK), probes.answer("u")
    finally:
        probes.forget("u")


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\n\r\n", ""),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP status 404"),
        (b"SSH-2.0-x\r\n", "no HTTP"),
        (b"\r\n", "no HTTP"),
        (b"", "no answer within 1 s"),
    ],
)
async def test_http_get_passes_or_says_what_came_of_it(guest: Guest, says: bytes, words: str) -> None:
    guest.says = says
    expected = (Health.NOT_READY, f"port {guest.port}: {words}") if words else (Health.READY, "")
    assert await seen(guest.port, "httpGet") == expected


async def test_a_tcp_socket_need_only_open(guest: Guest) -> None:
    assert await seen(guest.port, "tcpSocket") == (Health.READY, "")


async def test_a_closed_port_is_called_so() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        assert await seen(port, "tcpSocket") == (Health.NOT_READY, f"port {port}: connection refused")
