"""The relay passes bytes, all of them, and bounds who may hold connections."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.waiting import eventually
from virtualserver.controlplane import relay
from virtualserver.controlplane.relay import Relay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SIZE = 3_000_000


@contextlib.asynccontextmanager
async def listening(handler: Handler) -> AsyncGenerator[tuple[str, int]]:
    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        running.add(task)
        with contextlib.closing(writer):
            await handler(reader, writer)

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        yield address[0], address[1]
    await asyncio.gather(*running)


@contextlib.asynccontextmanager
async def relayed(handler: Handler, **limits: int) -> AsyncGenerator[tuple[str, int]]:
    async with listening(handler) as target, listening(Relay(target, **limits).serve) as address:
        yield address


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer once the client has ended: everything that it sent, at once."""
    writer.write(await reader.read())
    await writer.drain()
    writer.close()


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"!")
    await reader.read()
    writer.close()


async def test_every_byte_comes_through_also_after_the_client_has_said_all() -> None:
    async with relayed(echo) as address:
        reader, writer = await asyncio.open_connection(*address)
        sent = bytes(range(256)) * (SIZE // 256)
        writer.write(sent)
        writer.write_eof()
        await asyncio.sleep(0)  # the answer waits in the relay until it is read
        assert await reader.read() == sent
        writer.close()


async def test_a_client_beyond_the_bound_is_turned_away_and_others_go_on() -> None:
    async with relayed(hold, of_one=2) as address:
        held = [await asyncio.open_connection(*address) for _ in range(2)]
        for reader, _ in held:
            assert await reader.readexactly(1) == b"!"
        reader, writer = await asyncio.open_connection(*address)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        held[0][1].close()
        await held[0][1].wait_closed()
        while True:  # the relay sees it a moment later
            reader, writer = await asyncio.open_connection(*address)
            with contextlib.suppress(ConnectionError):
                if await reader.read(1) == b"!":
                    break
            writer.close()
        for _, one in (held[1], (reader, writer)):
            one.close()


async def test_attack_who_holds_all_connections_from_many_addresses_makes_room_for_others() -> None:
    async with relayed(hold, connections=4, of_one=3) as address:
        held: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

        async def connect(source: str) -> asyncio.StreamReader:
            reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0))
            held.append((reader, writer))
            async with asyncio.timeout(10):
                assert await reader.readexactly(1) == b"!"
            return reader

        first = [await connect(f"127.0.1.{number}") for number in (1, 1, 1, 2)]
        for source, loses in (("127.0.0.9", first[0]), ("127.0.0.9", first[1])):
            await connect(source)
            async with asyncio.timeout(10):
                with contextlib.suppress(ConnectionError):
                    assert await loses.read() == b""
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await connect("127.0.0.9")  # nobody has more
        await connect("127.0.0.8")
        for _, writer in held:
            writer.close()


async def test_where_nobody_listens_behind_it_the_client_is_told_at_once() -> None:
    async with listening(hold) as target:
        gone = target
    async with listening(Relay(gone).serve) as address:
        reader, writer = await asyncio.open_connection(*address)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("address", ["192.0.2.1", *(["2001:db8::1"] if Path("/proc/net/if_inet6").exists() else [])])
def test_it_is_a_program_by_itself_and_listens_on_an_address_that_is_not_there_yet(
    tmp_path: Path, address: str
) -> None:
    ready = tmp_path / "ready"
    argv = [sys.executable, "-I", relay.__file__, f"--listen={address}", "--port=20999", f"--ready-file={ready}"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        try:
            eventually(lambda: ready.exists() and ready.read_text() == str(process.pid), what="the relay to listen")
        finally:
            process.terminate()
        assert process.stderr is not None
        assert f"listening on {address} port 20999" in process.stderr.read()


@pytest.mark.parametrize("side", ["client", "server"])
async def test_when_one_side_breaks_off_so_does_the_other(side: str) -> None:
    ended = asyncio.Event()

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"!")
        if side == "server":
            writer.transport.abort()
        else:
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
        ended.set()

    async with relayed(server) as address:
        reader, writer = await asyncio.open_connection(*address)
        if side == "client":
            assert await reader.readexactly(1) == b"!"
            writer.transport.abort()
            async with asyncio.timeout(10):
                await ended.wait()
        else:
            async with asyncio.timeout(10):
                with contextlib.suppress(ConnectionError):
                    await reader.read()
            writer.close()
