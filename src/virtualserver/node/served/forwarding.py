"""``portforward``: a port of a guest's own address, TCP or UDP, for whoever may ask for it, published or not.

Nothing but the guest's own address can be reached so: not the node, not other guests.
Source: KubeVirt 1.8, virt-api's ``portforward`` subresource: a message of the websocket is a piece of the TCP stream,
or a datagram.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Final

from aiohttp import web

from virtualserver.node.served import answers
from virtualserver.node.served.consoles import Connected

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.fabric.desired.state import Address
    from virtualserver.node.served.guests import Guests
    from virtualserver.node.served.streams import Peer, Streams

__all__ = ["Forwarding"]

_CONNECT_SECONDS: Final = 10.0
_DATAGRAM_BYTES: Final = 64 << 10
_KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class _Datagrams:
    """A connected UDP socket as the guest's side of a stream."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def read(self) -> bytes:
        """Return the next datagram that says something; one without content would end the stream."""
        data = b""
        while not data:
            data = await asyncio.get_running_loop().sock_recv(self._connection, _DATAGRAM_BYTES)
        return data

    async def write(self, data: bytes) -> None:
        """Send a datagram."""
        await asyncio.get_running_loop().sock_sendall(self._connection, data)

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()


class Forwarding:
    """Connects clients with ports of guests."""

    def __init__(
        self, guests: Guests, streams: Streams, open_socket: Callable[[int, socket.SocketKind], socket.socket]
    ) -> None:
        """Name what it works with.

        Args:
            guests: Knows their addresses.
            streams: Carry the bytes.
            open_socket: Returns a new socket, from which guests can be reached, for an IP version.
        """
        self._guests = guests
        self._streams = streams
        self._open_socket = open_socket

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Relay a port of a guest."""
        port, protocol = request.match_info["port"], request.match_info.get("protocol") or "tcp"
        kind = _KINDS.get(protocol)
        if kind is None or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 1 << 16:
            message = f"portforward/{port}/{protocol}: write a port from 1 to 65535, and tcp or udp"
            raise answers.refusal(web.HTTPBadRequest, "BadRequest", message)
        address = self._guests.address(request)

        async def connect() -> Peer:
            return await self._connect(address, int(port), kind)

        return await self._streams.serve(request, connect)

    async def _connect(self, address: Address, port: int, kind: socket.SocketKind) -> Peer:
        connection = self._open_socket(address.version, kind)
        try:
            connection.setblocking(False)
            async with asyncio.timeout(_CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
            if kind is socket.SOCK_DGRAM:
                return _Datagrams(connection)
            return Connected(*await asyncio.open_connection(sock=connection))
        except OSError as error:
            connection.close()
            late = isinstance(error, TimeoutError)
            why = f"no answer within {_CONNECT_SECONDS:.0f} s" if late else os.strerror(error.errno or 0).lower()
            message = f"port {port} of the guest: {why}"
            raise answers.refusal(web.HTTPInternalServerError, "InternalError", message) from None
        except BaseException:
            connection.close()
            raise
