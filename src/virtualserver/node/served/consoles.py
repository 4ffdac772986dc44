"""The serial and the graphical console of a guest, as virtctl asks for them.

Each console serves one client: a new one takes it over.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from virtualserver.node.served import answers
from virtualserver.node.served.streams import CHUNK_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.node.served.guests import Guests
    from virtualserver.node.served.streams import Streams

__all__ = ["Connected", "Consoles"]


class Connected:
    """A connection as the guest's side of a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """Return what came, empty when the other side has ended it."""
        return await self._reader.read(CHUNK_BYTES)

    async def write(self, data: bytes) -> None:
        """Send something, and return when the other side has taken enough of it."""
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        """End the connection."""
        self._writer.close()


class _Turn:
    """One client's time with a console.

    Attributes:
        left: Set once the client has let go of it.
    """

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self._is_over = False
        self._connected: Connected | None = None

    def end(self) -> None:
        """Have the client let go, because another takes the console."""
        self._is_over = True
        if self._connected is not None:
            self._connected.close()

    async def connect(self, path: Path, before: _Turn | None) -> Connected:
        """Take the console over, and connect with it.

        Raises:
            HTTPConflict: Another client has taken it meanwhile.
            HTTPServiceUnavailable: It is away.
        """
        if before is not None:
            before.end()
            await before.left.wait()
        if self._is_over:
            raise answers.refusal(web.HTTPConflict, "Conflict", "another client has just taken the console")
        try:
            self._connected = Connected(*await asyncio.open_unix_connection(path))
        except OSError as error:
            message = f"the console is away: {error}"
            raise answers.refusal(web.HTTPServiceUnavailable, "ServiceUnavailable", message) from None
        if self._is_over:
            self._connected.close()
        return self._connected


class Consoles:
    """Connects clients with QEMU's sockets."""

    def __init__(self, guests: Guests, streams: Streams) -> None:
        self._guests = guests
        self._streams = streams
        self._turns: dict[Path, _Turn] = {}

    async def serial(self, request: web.Request) -> web.StreamResponse:
        """Relay the serial console."""
        return await self._serve(request, self._guests.machine(request).console)

    async def vnc(self, request: web.Request) -> web.StreamResponse:
        """Relay the graphical console (RFB)."""
        return await self._serve(request, self._guests.machine(request).vnc)

    async def _serve(self, request: web.Request, path: Path) -> web.StreamResponse:
        # Before anything is waited for: of many who come at once, each takes over from the one before, and none stays.
        before, turn = self._turns.get(path), _Turn()
        self._turns[path] = turn
        try:
            with self._streams.counted(request):
                peer = await turn.connect(path, before)
                socket = await self._streams.relay(request, peer)
        finally:
            turn.left.set()
            if self._turns.get(path) is turn:
                del self._turns[path]
        await socket.close()
        return socket
