"""A stand-in for the API server that has very many VirtualServers, and changes some of them all the time.

The one thing that a real one is not asked for: 10,000 objects would take minutes to make, and nothing of what is looked
at (how a page draws and searches them) depends on who serves them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
from typing import TYPE_CHECKING, Any

from aiohttp import web

from virtualserver.host.accepting import accepting

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["many_servers"]


def _server(number: int, version: int) -> dict[str, Any]:
    ready = number % 7 != 0
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": "VirtualServerReady" if ready else "PoolExhausted",
        "message": f"running, address 10.{number // 65536}.{number // 256 % 256}.{number % 256}"
        if ready
        else "no free address",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {
        "apiVersion": "virtualservers.coreweave.com/v1alpha1",
        "kind": "VirtualServer",
        "metadata": {
            "name": f"server-{number:05}",
            "namespace": f"team-{number % 20}",
            "uid": f"uid-{number}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"tier": "web" if number % 2 else "db"},
        },
        "spec": {"os": {"type": "linux"}, "resources": {"cpu": {"count": 2}, "memory": "8Gi"}},
        "status": {
            "conditions": [condition],
            "network": {
                "internalIP": f"10.42.{number // 256}.{number % 256}",
                "externalIP": f"203.0.{number // 256}.{number % 256}",
            },
        },
    }


@contextlib.contextmanager
def many_servers(count: int, *, port: int = 0, pause: float = 0.05) -> Generator[str]:
    """Yield the address of an API server with so many VirtualServers.

    Args:
        count: How many.
        port: Where it listens; 0: anywhere.
        pause: How long it waits from one change to the next, in seconds.
    """

    async def listed(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await watched(request)
        first = int(request.query.get("continue") or 0)
        end = min(count, first + int(request.query.get("limit") or count))
        more = {"continue": str(end)} if end < count else {}
        items = [_server(number, 1) for number in range(first, end)]
        return web.json_response(
            {"kind": "VirtualServerList", "metadata": {"resourceVersion": "1", **more}, "items": items}
        )

    async def watched(request: web.Request) -> web.StreamResponse:
        watch = web.WebSocketResponse()
        await watch.prepare(request)
        choose, version = random.Random(7), 1
        while not watch.closed:
            version += 1
            changed = _server(
                choose.choice((choose.randrange(count), count - 1 - choose.randrange(min(10, count)))), version
            )
            changed["status"]["conditions"][0]["message"] = f"changed {version}"
            try:
                await watch.send_str(json.dumps({"type": "MODIFIED", "object": changed}))
            except ConnectionError:  # who watched has left
                break
            await asyncio.sleep(pause)
        return watch

    loop = asyncio.new_event_loop()
    application = web.Application()
    application.router.add_get("/apis/virtualservers.coreweave.com/v1alpha1/virtualservers", listed)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    serving = contextlib.AsyncExitStack()

    async def listen(server: web.Server) -> asyncio.Server:
        return await loop.create_server(server, "127.0.0.1", port, reuse_address=True)

    async def start() -> str:
        server = await serving.enter_async_context(accepting(runner, listen))
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def end() -> None:
        await serving.aclose()
        # What is still being answered ends when it meets its closed connection, which the loop closes.
        await asyncio.wait({asyncio.create_task(asyncio.sleep(0.2)), *asyncio.all_tasks()} - {asyncio.current_task()})

    thread = threading.Thread(target=loop.run_forever, name="many servers")
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=10)
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
