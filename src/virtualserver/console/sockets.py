"""Websockets between a page and the API server: watches, and the consoles of guests. Messages pass as they are."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import WSMsgType, web

from virtualserver.console import guard
from virtualserver.console.gateway import TooManySocketsError

if TYPE_CHECKING:
    from virtualserver.console.gateway import Gateway

__all__ = ["REFUSED", "offered", "relay"]

REFUSED: Final = 4000
"""With an HTTP status added: the code with which a websocket is closed that the API server refused to open. A page
learns neither status nor words of a websocket that was never opened."""

_REASON_BYTES: Final = 123
_GOING_AWAY: Final = 1001
_RESERVED: Final = (None, 1005, 1006, 1015)
"""Codes that say that none came, and that nobody may send (RFC 6455, 7.4.1)."""
_PING_SECONDS: Final = 30.0
_LARGEST_MESSAGE: Final = 4 << 20

_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


def offered(request: web.Request) -> tuple[str, tuple[str, ...]]:
    """Return the token that a page shows with a websocket, and the subprotocols that are meant for the API server."""
    header = request.headers.get("Sec-WebSocket-Protocol", "")
    protocols = [protocol.strip() for protocol in header.split(",") if protocol.strip()]
    shown = [protocol for protocol in protocols if protocol.startswith(guard.PROOF_PROTOCOL)]
    token = shown[0].removeprefix(guard.PROOF_PROTOCOL) if shown else ""
    return token, tuple(protocol for protocol in protocols if protocol not in shown)


async def relay(request: web.Request, gateway: Gateway, path: str, *, seconds: float) -> web.StreamResponse:
    """Carry messages until one side ends, or the sign-in does.

    Args:
        request: The page's.
        gateway: Its user's way to the API server.
        path: As for `Gateway.request`.
        seconds: How long at most.
    """
    token, protocols = offered(request)
    proof = f"{guard.PROOF_PROTOCOL}{token}"
    try:
        async with gateway.socket(path, protocols=protocols) as api:
            page = await _opened(request, api.protocol or proof)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await _until_one_ends(page, api)
            await page.close(code=_GOING_AWAY if api.close_code in _RESERVED else api.close_code)
            return page
    except TooManySocketsError as error:
        code, why = REFUSED + web.HTTPTooManyRequests.status_code, str(error)
    except aiohttp.WSServerHandshakeError as error:
        code, why = REFUSED + error.status, ""
    except (aiohttp.ClientError, OSError) as error:
        code, why = REFUSED + web.HTTPServiceUnavailable.status_code, str(error)
    page = await _opened(request, protocols[0] if protocols else proof)
    await page.close(code=code, message=why.encode()[:_REASON_BYTES])
    return page


async def _opened(request: web.Request, protocol: str) -> web.WebSocketResponse:
    """Open the page's side. A browser ends a websocket for which none of what it offered was chosen."""
    page = web.WebSocketResponse(protocols=(protocol,), heartbeat=_PING_SECONDS, max_msg_size=_LARGEST_MESSAGE)
    await page.prepare(request)
    return page


async def _until_one_ends(page: web.WebSocketResponse, api: aiohttp.ClientWebSocketResponse) -> None:
    tasks = [asyncio.create_task(_carry(page, api)), asyncio.create_task(_carry(api, page))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(source: _Socket, target: _Socket) -> None:
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await target.send_bytes(message.data)
