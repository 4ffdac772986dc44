"""A TCP forwarder that can be shut: stands for the network between us and the real API server.

It carries bytes and knows nothing of them, so TLS and the server stay real. Listens on loopback only.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import urllib.parse
from typing import TYPE_CHECKING

from virtualserver.host.accepting import end_accepting
from virtualserver.kube.client import Client
from virtualserver.kube.kubeconfig import load_kubeconfig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path


class Gate:
    """Forwards connections to a server while it is open."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = True
        self._answers = asyncio.Event()
        self._answers.set()
        self.port = 0
        self.connections = 0
        self.left = 0

    def shut(self) -> None:
        """Cut all connections, and cut new ones at once."""
        self._is_open = False
        for writer in self._writers:
            writer.transport.abort()

    def open(self) -> None:
        """Let connections through again."""
        self._is_open = True

    def hold_answers(self) -> None:
        """Carry nothing more from the server to the clients."""
        self._answers.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if not self._is_open:
            writer.transport.abort()
            return
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            # It may have been shut since.
            if self._is_open:
                await asyncio.gather(self._forward(reader, far_writer), _pump(far_reader, writer, self._answers))
        finally:
            self._writers -= {writer, far_writer}
            for one in (writer, far_writer):
                one.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry what a client says, and count the client when it leaves."""
        always = asyncio.Event()
        always.set()
        await _pump(reader, writer, always)
        self.left += 1


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may_pass: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            await may_pass.wait()
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def through_a_gate(kubeconfig: Path) -> AsyncGenerator[tuple[Client, Gate]]:
    """Yield a client whose connections go through a gate, and the gate."""
    credentials = load_kubeconfig(kubeconfig)
    address = urllib.parse.urlsplit(credentials.server)
    assert address.hostname and address.port
    gate = Gate(address.hostname, address.port)
    server = await asyncio.start_server(gate.serve, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    credentials = dataclasses.replace(credentials, server=f"https://127.0.0.1:{gate.port}")
    try:
        async with Client(credentials, user_agent="kube-test-gate") as client:
            yield client, gate
    finally:
        gate.shut()
        await end_accepting(server)
        await server.wait_closed()
