"""A stand-in for the API server with one guest, which a test starts, stops and listens to.

What a real guest says on its serial console is tried with whole instances (tests/e2e/test_console.py); here a test says
when it runs, and what it says, without waiting for a machine to boot.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from virtualserver.host.accepting import accepting

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

__all__ = ["StandinGuest", "a_standin_guest"]

_PROTOCOL = "plain.kubevirt.io"


class StandinGuest:
    """A guest named ``web`` in the namespace ``default``, whose console answers with what is typed, in capitals.

    Attributes:
        url: The API server's address.
        heard: What was typed so far.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.url = ""
        self.heard = ""
        self._loop = loop
        self._instance: dict[str, Any] | None = None
        self._version = 1
        self._watches: set[web.WebSocketResponse] = set()
        self._consoles: set[web.WebSocketResponse] = set()

    def runs(self, uid: str) -> None:
        """Have it run, as the instance of that UID."""
        metadata = {"name": "web", "namespace": "default", "uid": uid}
        self._do(self._become({"metadata": metadata, "status": {"phase": "Running"}}))

    def stops(self) -> None:
        """Have it end: its console closes, and the instance goes."""
        self._do(self._become(None))

    def is_taken(self) -> None:
        """Have somebody else take its console."""
        self._do(self._close_consoles())

    def application(self) -> web.Application:
        """Return what serves it."""
        application = web.Application()
        instances = "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances"
        application.router.add_get(instances, self._listed)
        served = "/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachineinstances/web/console"
        application.router.add_get(served, self._console)
        return application

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _become(self, instance: dict[str, Any] | None) -> None:
        before, self._instance, self._version = self._instance, instance, self._version + 1
        if instance is None:
            await self._close_consoles()
        changed = instance or before
        if changed is None:
            return
        changed["metadata"]["resourceVersion"] = str(self._version)
        for watch in tuple(self._watches):
            await watch.send_json({"type": "MODIFIED" if instance else "DELETED", "object": changed})

    async def _close_consoles(self) -> None:
        for console in tuple(self._consoles):
            await console.close()

    async def _listed(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            items = [self._instance] if self._instance else []
            return web.json_response({"items": items, "metadata": {"resourceVersion": str(self._version)}})
        watch = web.WebSocketResponse()
        await watch.prepare(request)
        self._watches.add(watch)
        async for _ in watch:
            pass
        self._watches.discard(watch)
        return watch

    async def _console(self, request: web.Request) -> web.StreamResponse:
        console = web.WebSocketResponse(protocols=(_PROTOCOL,))
        await console.prepare(request)
        self._consoles.add(console)
        await console.send_bytes(b"a guest at your service\r\n")
        async for message in console:
            if message.type is WSMsgType.BINARY:
                self.heard += message.data.decode()
                await console.send_bytes(message.data.upper())
        self._consoles.discard(console)
        return console


@contextlib.contextmanager
def a_standin_guest() -> Generator[StandinGuest]:
    """Yield a guest that does not run yet."""
    loop = asyncio.new_event_loop()
    guest = StandinGuest(loop)
    runner = web.AppRunner(guest.application(), access_log=None, shutdown_timeout=0.1)
    serving = contextlib.AsyncExitStack()

    async def listen(server: web.Server) -> asyncio.Server:
        return await loop.create_server(server, "127.0.0.1", 0)

    async def start() -> str:
        server = await serving.enter_async_context(accepting(runner, listen))
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    thread = threading.Thread(target=loop.run_forever, name="stand-in guest")
    thread.start()
    try:
        guest.url = asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=10)
        yield guest
    finally:
        asyncio.run_coroutine_threadsafe(serving.aclose(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
