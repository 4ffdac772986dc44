"""A server that ends while clients come."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket

import pytest
from aiohttp import web

from virtualserver.host.accepting import end_accepting


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_accepted_in_the_moment_in_which_a_server_ends_is_closed_with_it(turns: int) -> None:
    """In whichever turn of the loop; what is forgotten instead says so when it is collected, and fails the test."""
    runner = web.AppRunner(web.Application(), shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server
    server = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)
    clients = [socket.create_connection(server.sockets[0].getsockname(), timeout=5) for _ in range(3)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await end_accepting(server)
    await runner.cleanup()
    for client in clients:
        with client, contextlib.suppress(ConnectionResetError):  # of those whom nobody had accepted yet
            assert client.recv(1) == b""
    gc.collect()
