"""What somebody sends with a request: read whole, but not waited for without end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

__all__ = ["read"]

_SECONDS: Final = 60.0
"""So long a body may take: whoever sends one byte a minute holds nothing."""


async def read(request: BaseRequest) -> bytes:
    """Return a request's body.

    Raises:
        HTTPRequestTimeout: It takes too long.
        HTTPRequestEntityTooLarge: It is larger than the application takes.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body is not there after {_SECONDS:.0f} s") from None
