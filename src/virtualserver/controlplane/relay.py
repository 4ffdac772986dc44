"""Passes bytes between one address of this machine and kube-apiserver, which itself listens on loopback only.

It reads nothing of what passes, holds no key and has no rights: TLS ends in kube-apiserver. It is run by its path with
the standard library alone, so that it stays small. The address need not be the machine's yet, or any more: it listens
all the same, and answers once the address is there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
from pathlib import Path
from typing import TypeAlias

__all__ = ["Relay", "main"]

_log = logging.getLogger("relay")

_CONNECTIONS = 480
"""At once; each takes two file descriptors of the 1024 that a process has."""
_CONNECTIONS_OF_ONE = 120
"""At once from one address, so that one client never holds all of them."""
_CHUNK = 64 * 1024
_LINGER_SECONDS = 30.0
"""Once one side has ended, the other one has so long."""
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78  # linux/in.h, linux/in6.h: listen on an address that is not there

_Ends: TypeAlias = "list[asyncio.WriteTransport]"
"""A connection: the client's side, and the target's once there is one."""


class Relay:
    """Gives every client a connection of its own to the target.

    Args:
        target: Address and port.
        connections: How many there may be at once.
        of_one: How many from one address.
    """

    def __init__(
        self, target: tuple[str, int], *, connections: int = _CONNECTIONS, of_one: int = _CONNECTIONS_OF_ONE
    ) -> None:
        self._target = target
        self._limits = connections, of_one
        self._held: dict[str, list[_Ends]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes both ways until both sides have ended."""
        client: str = writer.get_extra_info("peername")[0]
        if not self._has_place(client):
            writer.transport.abort()
            return
        ends: _Ends = [writer.transport]
        self._held.setdefault(client, []).append(ends)
        try:
            _keep_alive(writer)
            await self._join(reader, writer, ends)
        except OSError as error:
            _log.warning("%s: %s", client, error)
        finally:
            await _close(writer)
            self._forget(client, ends)

    def _has_place(self, client: str) -> bool:
        """Return whether a client may have one more.

        Where all are taken, who has most of them loses the oldest: a machine may have any number of addresses, and
        clients whose connection is lost come again.
        """
        connections, of_one = self._limits
        own = len(self._held.get(client, ()))
        if own >= of_one:
            return False
        if sum(map(len, self._held.values())) < connections:
            return True
        most = max(self._held, key=lambda one: len(self._held[one]))
        if len(self._held[most]) <= own:
            return False
        oldest = self._held[most][0]
        self._forget(most, oldest)
        for end in oldest:
            end.abort()
        return True

    def _forget(self, client: str, ends: _Ends) -> None:
        held = [one for one in self._held.pop(client, []) if one is not ends]
        if held:
            self._held[client] = held

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: _Ends) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        ends.append(there_writer.transport)
        ways = [
            asyncio.create_task(_pass(reader, there_writer)),
            asyncio.create_task(_pass(there_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(ways, timeout=_LINGER_SECONDS)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await _close(there_writer)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass what one side sends until it ends, and tell the other side so."""
    with contextlib.suppress(OSError):  # either side may go at any time
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Send what is left, and end the connection."""
    writer.close()
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            await writer.wait_closed()
    except OSError:  # a time-out is one too
        writer.transport.abort()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Notice within two minutes that a client is gone without a word."""
    connection: socket.socket = writer.get_extra_info("socket")
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    ):
        connection.setsockopt(level, option, value)


def _listener(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
    else:
        listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    listener.bind((address, port))
    return listener


async def _run(listener: socket.socket, target: tuple[str, int], ready: Path) -> None:
    async with await asyncio.start_server(Relay(target).serve, sock=listener) as server:
        _log.info("listening on %s port %d for %s port %d", *listener.getsockname()[:2], *target)
        ready.write_text(str(os.getpid()))  # noqa: ASYNC240 - once, before anybody is served
        await server.serve_forever()


def main() -> None:
    """Relay until a signal ends it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True, help="the address")
    parser.add_argument("--port", type=int, required=True, help="the port on it, and kube-apiserver's on 127.0.0.1")
    parser.add_argument("--ready-file", type=Path, required=True)
    asked = parser.parse_args()
    asyncio.run(_run(_listener(asked.listen, asked.port), ("127.0.0.1", asked.port), asked.ready_file))


if __name__ == "__main__":
    main()
