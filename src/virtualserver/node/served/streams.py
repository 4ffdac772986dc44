"""Streams between a websocket, as virtctl opens it, and something of a guest's: bounded for each tenant.

A stream costs the node two open files and a share of its event loop, which everybody's servers wait for. So there are
only so many for each namespace and each user, a peer that is gone is noticed by its silence, and one on which nothing
has been said for hours is ended. Nobody's streams count against another tenant's.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import WSMsgType, web

from virtualserver.node.served import answers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["CHUNK_BYTES", "MOST_OF_A_NAMESPACE", "MOST_OF_A_USER", "PROTOCOL", "Peer", "Streams"]

PROTOCOL: Final = "plain.kubevirt.io"
"""The websocket's subprotocol: each message is a piece of the stream, or a datagram."""

CHUNK_BYTES: Final = 64 << 10
MOST_OF_A_NAMESPACE: Final = 64
MOST_OF_A_USER: Final = 96
_IDLE_SECONDS: Final = 4 * 3600.0
"""As long as the kubelet lets a silent stream be."""
_LOOK_SECONDS: Final = 15.0
"""So often is looked whether the client may still have it."""
_PING_SECONDS: Final = 30.0


class Peer(Protocol):
    """The guest's side of a stream."""

    async def read(self) -> bytes:
        """Return the next piece, empty at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Take a piece, and return when the next one may come."""
        ...

    def close(self) -> None:
        """End it; must not raise."""
        ...


class Streams:
    """All streams that the node serves."""

    def __init__(
        self,
        *,
        still_has: Callable[[web.Request], Awaitable[bool]],
        idle_seconds: float = _IDLE_SECONDS,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """Serve none yet.

        Args:
            still_has: Returns whether who sent a request may still have what it asked for.
            idle_seconds: So long a stream may be silent.
            look_seconds: How often that is asked.
        """
        self._still_has = still_has
        self._look_seconds = look_seconds
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self._idle_seconds = idle_seconds

    async def serve(self, request: web.Request, connect: Callable[[], Awaitable[Peer]]) -> web.StreamResponse:
        """Carry bytes between a client and what it asks for, until one side ends.

        Args:
            request: The client's; kube-apiserver says who it is.
            connect: Opens the guest's side; what it raises is the answer.

        Raises:
            HTTPTooManyRequests: As `counted`.
        """
        with self.counted(request):
            socket = await self.relay(request, await connect())
        await socket.close()
        return socket

    async def relay(self, request: web.Request, peer: Peer) -> web.WebSocketResponse:
        """Carry bytes until one side ends, close the guest's side, and return the client's, which is still open."""
        socket = web.WebSocketResponse(protocols=(PROTOCOL,), heartbeat=_PING_SECONDS)
        try:
            await socket.prepare(request)
            await self._relay(request, socket, peer)
        finally:
            peer.close()
        return socket

    @contextlib.contextmanager
    def counted(self, request: web.Request) -> Generator[None]:
        """Count a stream while it is open.

        Raises:
            HTTPTooManyRequests: The namespace, or the user, has as many streams as it may have.
        """
        namespace, user = request.match_info["namespace"], request.headers.get("X-Remote-User", "")
        bounds = {("namespace", namespace): MOST_OF_A_NAMESPACE, ("user", user): MOST_OF_A_USER}
        for (kind, name), most in bounds.items():
            if self._counts[kind, name] >= most:
                told = "consoles and forwarded connections open already: leave some (Ctrl-] leaves a console)"
                message = f"{kind} {name} has {most} {told}"
                raise answers.refusal(web.HTTPTooManyRequests, "TooManyRequests", message)
        for key in bounds:
            self._counts[key] += 1
        try:
            yield
        finally:
            for key in bounds:
                self._counts[key] -= 1
                if not self._counts[key]:
                    del self._counts[key]

    async def _relay(self, request: web.Request, socket: web.WebSocketResponse, peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        heard = loop.time()

        async def outwards() -> None:
            nonlocal heard
            while data := await peer.read():
                heard = loop.time()
                await socket.send_bytes(data)
                await asyncio.sleep(0)  # one that always has more lets others have their turn

        async def inwards() -> None:
            nonlocal heard
            async for message in socket:
                heard = loop.time()
                if message.type is WSMsgType.BINARY:
                    await peer.write(message.data)
                elif message.type is WSMsgType.TEXT:
                    await peer.write(message.data.encode())
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(side()) for side in (outwards, inwards)]
        try:
            done: set[asyncio.Task[None]] = set()
            while not done and loop.time() - heard < self._idle_seconds:
                pause = min(self._look_seconds, self._idle_seconds)
                done, _ = await asyncio.wait(tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                if not done and not await self._still_has(request):
                    break
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
