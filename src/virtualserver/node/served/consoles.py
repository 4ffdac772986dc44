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


class Consoles:
    """Relays between websockets and QEMU's sockets."""

    def __init__(self, cache: Cache, held: Held) -> None:
        self._cache = cache
        self._held = held
        self._clients: dict[Path, asyncio.Task[None]] = {}

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
        before = self._clients.get(path)
        if before is not None:
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)
        try:
            reader, writer = await asyncio.open_unix_connection(path)
        except OSError as error:
            raise _error(web.HTTPServiceUnavailable, "ServiceUnavailable", f"the console is away: {error}") from None
        socket = web.WebSocketResponse(protocols=(_PROTOCOL,), heartbeat=_PING_SECONDS)
        await socket.prepare(request)
        relay = asyncio.create_task(_relay(socket, reader, writer))
        self._clients[path] = relay
        try:
            await asyncio.wait([relay])
        finally:
            relay.cancel()
            await asyncio.gather(relay, return_exceptions=True)
            if self._clients.get(path) is relay:
                del self._clients[path]
            writer.close()
            await socket.close()
        return socket


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
