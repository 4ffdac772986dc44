"""The serial and the graphical console of a guest, relayed over a websocket as virtctl expects it.

Each console serves one client: a new one takes it over.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import WSMsgType, web

from virtualserver.kube import kinds
from virtualserver.machines.ends import Running

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.kube.cache import Cache
    from virtualserver.machines.machine import Machine
    from virtualserver.node.held import Held

__all__ = ["Consoles"]

_PROTOCOL: Final = "plain.kubevirt.io"
_CHUNK_BYTES: Final = 64 << 10
_PING_SECONDS: Final = 30.0


class _Turn:
    """One client's time with a console.

    Attributes:
        over: Set once another client takes the console.
        left: Set once this one has let go of it.
    """

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.left = asyncio.Event()


class Consoles:
    """Relays between websockets and QEMU's sockets."""

    def __init__(self, cache: Cache, held: Held) -> None:
        self._cache = cache
        self._held = held
        self._turns: dict[Path, _Turn] = {}

    async def serial(self, request: web.Request) -> web.StreamResponse:
        """Relay the serial console."""
        return await self._serve(request, self._machine(request).console)

    async def vnc(self, request: web.Request) -> web.StreamResponse:
        """Relay the graphical console (RFB)."""
        return await self._serve(request, self._machine(request).vnc)

    def _machine(self, request: web.Request) -> Machine:
        key = request.match_info["namespace"], request.match_info["name"]
        vmi = self._cache.get(kinds.VIRTUAL_MACHINE_INSTANCE, key)
        if vmi is None:
            raise _error(web.HTTPNotFound, "NotFound", f'virtualmachineinstance.kubevirt.io "{key[1]}" not found')
        machine = self._held.machine(vmi["metadata"]["uid"])
        if machine is None or not isinstance(machine.state, Running):
            raise _error(web.HTTPConflict, "Conflict", f"Unable to connect to {key[0]}/{key[1]}: VMI is not running")
        return machine

    async def _serve(self, request: web.Request, path: Path) -> web.StreamResponse:
        # Before anything is waited for: of many who come at once, each takes over from the one before, and none stays.
        before, turn = self._turns.get(path), _Turn()
        self._turns[path] = turn
        socket = web.WebSocketResponse(protocols=(_PROTOCOL,), heartbeat=_PING_SECONDS)
        try:
            if before is not None:
                before.over.set()
                await before.left.wait()
            if turn.over.is_set():
                raise _error(web.HTTPConflict, "Conflict", "another client has just taken the console")
            await _during(turn, socket, request, path)
        finally:
            turn.left.set()
            if self._turns.get(path) is turn:
                del self._turns[path]
        await socket.close()
        return socket


async def _during(turn: _Turn, socket: web.WebSocketResponse, request: web.Request, path: Path) -> None:
    """Relay until one side ends, or the turn is over."""
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise _error(web.HTTPServiceUnavailable, "ServiceUnavailable", f"the console is away: {error}") from None
    tasks: list[asyncio.Task[object]] = []
    try:
        await socket.prepare(request)
        tasks = [asyncio.create_task(_relay(socket, reader, writer)), asyncio.create_task(turn.over.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()


async def _relay(socket: web.WebSocketResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes both ways until one side ends."""

    async def outwards() -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await socket.send_bytes(data)

    async def inwards() -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                writer.write(message.data)
            elif message.type is WSMsgType.TEXT:
                writer.write(message.data.encode())
            await writer.drain()

    tasks = [asyncio.create_task(outwards()), asyncio.create_task(inwards())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(*tasks, return_exceptions=True)


def _error(kind: type[web.HTTPException], reason: str, message: str) -> web.HTTPException:
    code = kind.status_code
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message}
    return kind(text=msgspec.json.encode({**status, "code": code}).decode(), content_type="application/json")
