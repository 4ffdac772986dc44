"""Streams between the one who asks and a guest: its serial console and what came by it, ports of its own address."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from virtualserver.kube import fields, kinds
from virtualserver.kube.errors import ApiError, Conflict, NotFound
from virtualserver.servers import terminal, waiting
from virtualserver.servers.errors import ServerError, StateError
from virtualserver.servers.subresources import INSTANCE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from virtualserver.kube.client import Client
    from virtualserver.kube.stream import Stream
    from virtualserver.servers.access import ApiAccess

__all__ = ["ESCAPE", "console", "forward", "log"]

ESCAPE: Final = b"\x1d"
"""Ctrl-]: leaves the console."""

_LINGER_SECONDS: Final = 2.0
"""After our side's end, so long the guest may say nothing before it counts as having said all."""

_WITH_MACHINE: Final = ("Running", "Succeeded", "Failed")
"""Phases of an instance that has, or had, a machine: of one that has ended the node knows what it wrote."""

_PROTOCOL: Final = "plain.kubevirt.io"


async def console(access: ApiAccess, name: str, *, reads: int, writes: int) -> bool:
    """Connect a terminal with a guest's serial console, until Ctrl-] or one side's end.

    Args:
        access: Of the caller.
        name: The server's.
        reads: The file descriptor of the keys; a terminal hands every one of them on meanwhile.
        writes: The file descriptor of the screen.

    Returns:
        True where the caller left; False where the console ended.

    Raises:
        StateError: The guest does not run.
    """
    async with access.client() as client, _opened(access, client, name, "console") as stream:
        relay = asyncio.create_task(_relay(stream, reads=reads, writes=writes, escape=ESCAPE))
        with terminal.raw(reads, ends=relay.cancel):
            return await relay


async def forward(access: ApiAccess, name: str, port: int, *, reads: int, writes: int) -> None:
    """Connect file descriptors with a TCP port of a guest's own address, published or not.

    Args:
        access: Of the caller.
        name: The server's.
        port: The port.
        reads: Is sent to the port.
        writes: Takes what the port says.

    Raises:
        StateError: The guest does not run, or has no card in the cluster network.
        ServerError: Nobody listens there.
    """
    async with access.client() as client, _opened(access, client, name, f"portforward/{port}") as stream:
        await _relay(stream, reads=reads, writes=writes)


async def log(access: ApiAccess, name: str, *, follows: bool) -> AsyncGenerator[bytes]:
    """Yield what a guest wrote to its serial console: first the end that is kept, in one piece.

    Args:
        access: Of the caller.
        name: The server's.
        follows: Whether what comes is yielded too, until the guest ends.

    Raises:
        StateError: The guest does not run.
    """
    query = {"follow": "true"} if follows else {}
    async with access.client() as client, _opened(access, client, name, "console/log", query) as stream:
        while data := await stream.read():
            yield data


@contextlib.asynccontextmanager
async def _opened(
    access: ApiAccess, client: Client, name: str, subresource: str, query: Mapping[str, str] | None = None
) -> AsyncGenerator[Stream]:
    """Yield a stream of a guest that runs; errors as for `forward`."""
    server = await access.server(client, name)
    path = INSTANCE.path(namespace=access.namespace, name=name, subresource=subresource)
    try:
        instance = await client.get(kinds.VIRTUAL_MACHINE_INSTANCE, name, namespace=access.namespace)
        runs = fields.status_of(instance).get("phase") in _WITH_MACHINE
    except NotFound:
        runs = False
    if not runs:
        raise StateError(
            f"{name} does not run: {waiting.told(server)}", remedy=f"All about it: {access.command('show', name)}"
        )
    async with contextlib.AsyncExitStack() as stack:
        try:
            stream = await stack.enter_async_context(client.stream(path, protocol=_PROTOCOL, query=query))
        except (Conflict, NotFound) as error:
            raise StateError(
                f"{name}: {error.message}", remedy=f"All about it: {access.command('show', name)}"
            ) from error
        except ApiError as error:
            if error.status != 500:  # who forwards a port is told so that nobody listens there
                raise
            raise ServerError(f"{name}: {error.message}", remedy="Does the guest listen there?") from error
        yield stream


async def _relay(stream: Stream, *, reads: int, writes: int, escape: bytes = b"") -> bool:
    """Carry bytes until one side ends, and return whether it was ours.

    Args:
        stream: The guest's side.
        reads: Our side's.
        writes: Our side's.
        escape: The byte with which our side ends it; empty: none.
    """
    keys, loop = terminal.Keys(reads), asyncio.get_running_loop()
    heard = loop.time()

    async def outwards() -> bool:
        while data := await keys.read():
            before, found, _ = data.partition(escape) if escape else (data, b"", b"")
            if before:
                await stream.write(before)
            if found:
                return True
        # A pipe's end is not yet that of the answer.
        while loop.time() - heard < _LINGER_SECONDS:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(_LINGER_SECONDS / 10)
        return True

    async def inwards() -> bool:
        nonlocal heard
        while data := await stream.read():
            heard = loop.time()
            terminal.write(writes, data)
        return False

    tasks = [asyncio.create_task(side()) for side in (outwards, inwards)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return any([task.result() for task in done])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
