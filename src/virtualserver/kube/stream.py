"""A websocket of the API server as a stream of bytes: consoles and forwarded ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

__all__ = ["Stream"]


class Stream:
    """An open stream."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        """Return the next piece; empty when the other side has ended it, or the connection is cut."""
        while True:
            message = await self._socket.receive()
            if message.type is aiohttp.WSMsgType.BINARY and message.data:
                return message.data
            if message.type is aiohttp.WSMsgType.TEXT and message.data:
                return message.data.encode()
            if message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                return b""

    async def write(self, data: bytes) -> None:
        """Send a piece; once the other side has ended it, nothing is sent any more."""
        if not self._socket.closed:
            await self._socket.send_bytes(data)
