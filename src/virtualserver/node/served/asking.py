"""Asks a guest's own TCP ports whether they answer; bounded in time and in number."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Final

from virtualserver.api.network_path import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from virtualserver.fabric.desired.state import Address

__all__ = ["MOST_PORTS", "ask"]

MOST_PORTS: Final = 64
"""So many of a guest's ports are asked at once, and no more."""
_SECONDS: Final = 1.0
_UNREACHABLE: Final = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN)


async def ask(
    open_socket: Callable[[int, socket.SocketKind], socket.socket], address: Address, ports: Collection[int]
) -> dict[int, Answer]:
    """Connect to ports of a guest, and return what came of it; a second is all that it takes.

    Args:
        open_socket: Returns a new socket from which guests can be reached, for an IP version.
        address: The guest's own.
        ports: Those of which the first `MOST_PORTS` are asked.
    """
    asked = sorted(ports)[:MOST_PORTS]
    found = await asyncio.gather(*(_ask(open_socket, address, port) for port in asked))
    return dict(zip(asked, found, strict=True))


async def _ask(open_socket: Callable[[int, socket.SocketKind], socket.socket], address: Address, port: int) -> Answer:
    try:
        with open_socket(address.version, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)
            async with asyncio.timeout(_SECONDS):
                await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
    except ConnectionRefusedError:
        return Answer.REFUSED
    except OSError as error:  # TimeoutError is one
        return Answer.UNREACHABLE if error.errno in _UNREACHABLE else Answer.SILENT
    return Answer.ANSWERS
