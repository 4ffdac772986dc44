"""Servers that accept connections, and end without one that nobody closes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from aiohttp import web

__all__ = ["accepting", "end_accepting"]


@contextlib.asynccontextmanager
async def accepting(
    runner: web.AppRunner, listen: Callable[[web.Server], Awaitable[asyncio.Server]]
) -> AsyncGenerator[asyncio.Server]:
    """Serve an application while the context lasts, and end with it all that was accepted.

    Args:
        runner: Of the application, not set up yet.
        listen: Returns what listens; it is given what makes a protocol for each connection.

    Yields:
        What listens.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        assert runner.server  # noqa: S101 - it has one since it was set up
        server = await listen(runner.server)
        stack.push_async_callback(end_accepting, server)
        yield server


async def end_accepting(server: asyncio.Server) -> None:
    """Accept nobody more, and end what listens once all who were accepted are in: asyncio forgets them otherwise.

    Who serves them ends them afterwards.
    """
    for listening in server.sockets:
        asyncio.get_running_loop().remove_reader(listening)
    await asyncio.sleep(0)
    server.close()
