"""A stand-in for an API server that misbehaves on demand.

It serves one kind (ConfigMaps), over plain HTTP on loopback, by a script of answers: a real server cannot be made to
cut a line in two, to be silent or to repeat itself when a test wants it. It proves nothing about what a real one does;
that is in the other files of this folder.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from virtualserver.host.accepting import accepting
from virtualserver.kube.kubeconfig import Credentials

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ENDED = web.AppKey("ended", asyncio.Event)
"""Set at the end of the test: answers that stay silent end."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def an_object(name: str, version: int) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "n", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)},
        "data": {"version": str(version)},
    }


def an_event(kind: str, name: str, version: int) -> bytes:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", **an_object(name, version)}
    return msgspec.json.encode({"type": kind, "object": manifest}) + b"\n"


def a_bookmark(version: int) -> bytes:
    manifest = {"kind": "ConfigMap", "metadata": {"resourceVersion": str(version)}}
    return msgspec.json.encode({"type": "BOOKMARK", "object": manifest}) + b"\n"


def a_status(code: int, reason: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": f"scripted {reason}"}


def an_error_event(code: int, reason: str) -> bytes:
    return msgspec.json.encode({"type": "ERROR", "object": a_status(code, reason)}) + b"\n"


def refuse(code: int, reason: str, **headers: str) -> Answer:
    """Answer with an error."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(a_status(code, reason), status=code, headers=headers)

    return answer


def listing(version: int, *objects: dict[str, Any], proceed: str = "") -> Answer:
    """Answer a LIST, or one page of it."""
    metadata = {"resourceVersion": str(version), "continue": proceed}

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "ConfigMapList", "metadata": metadata, "items": objects})

    return answer


def stream(*pieces: bytes, then: str = "stay") -> Answer:
    """Answer a WATCH with pieces of bytes; then ``stay`` silent, ``end`` properly, or ``cut`` the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.01)
        if then == "stay":
            await request.app[ENDED].wait()
        if then == "cut" and request.transport:
            request.transport.abort()
        return response

    return answer


class FaultyServer:
    """Answers each LIST and each WATCH by the next answer of its script, the last one for ever.

    Attributes:
        credentials: For a client of this server.
        lists: The answers to LISTs.
        watches: The answers to WATCHes.
        requests: ("list" or "watch", query) of all requests, in order.
    """

    def __init__(self) -> None:
        self.credentials = Credentials("")
        self.lists: list[Answer] = []
        self.watches: list[Answer] = [stream()]
        self.requests: list[tuple[str, dict[str, str]]] = []

    def queries(self, kind: str) -> list[dict[str, str]]:
        return [query for word, query in self.requests if word == kind]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        kind = "watch" if request.query.get("watch") else "list"
        self.requests.append((kind, dict(request.query)))
        script = self.watches if kind == "watch" else self.lists
        return await (script.pop(0) if len(script) > 1 else script[0])(request)


@contextlib.asynccontextmanager
async def faulty_server() -> AsyncGenerator[FaultyServer]:
    """Run one on a free port of loopback."""
    server = FaultyServer()
    application = web.Application()
    application[ENDED] = asyncio.Event()
    application.router.add_get("/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=5)

    async def listen(serving: web.Server) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(serving, "127.0.0.1", 0)

    async with accepting(runner, listen) as listening:
        server.credentials = Credentials(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        try:
            yield server
        finally:
            application[ENDED].set()
