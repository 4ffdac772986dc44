"""The end of a server's accepting, without a connection that nobody closes."""

from __future__ import annotations

import asyncio

__all__ = ["end_accepting"]


async def end_accepting(server: asyncio.Server) -> None:
    """Accept nobody more, and end what listens once all who were accepted are in: asyncio forgets them otherwise.

    Who serves them ends them afterwards.
    """
    for listening in server.sockets:
        asyncio.get_running_loop().remove_reader(listening)
    await asyncio.sleep(0)
    server.close()
