"""What a guest wrote to its serial console: the last of it, and what comes while somebody follows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from virtualserver.host.logs import end_of
from virtualserver.machines.ends import Running
from virtualserver.machines.machine import CONSOLE_BYTES
from virtualserver.node.served import answers

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.machines.machine import Machine
    from virtualserver.node.served.guests import Guests
    from virtualserver.node.served.streams import Streams

__all__ = ["ConsoleLogs", "KeptConsole"]

_LOOK_SECONDS: Final = 0.5


class KeptConsole:
    """A machine's console log as the guest's side of a stream: read only.

    Args:
        machine: The machine.
        follows: Whether it goes on until the machine has ended.
    """

    def __init__(self, machine: Machine, *, follows: bool) -> None:
        self._machine = machine
        self._follows = follows
        self._position = -1
        self._is_closed = asyncio.Event()

    async def read(self) -> bytes:
        """Return the kept end first, then what has come since; empty at the end."""
        before, log = self._machine.console_logs
        if self._position < 0:
            self._position = _size(log)
            kept = (end_of(before, CONSOLE_BYTES) + end_of(log, self._position))[-CONSOLE_BYTES:]
            if kept or not self._follows:
                return kept
        while self._follows and not self._is_closed.is_set():
            runs = isinstance(self._machine.state, Running)
            if more := self._come(log):
                return more
            if not runs:
                break
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._is_closed.wait()
            except TimeoutError:
                continue
        return b""

    async def write(self, data: bytes) -> None:
        """Take nothing."""

    def close(self) -> None:
        """End it."""
        self._is_closed.set()

    def _come(self, log: Path) -> bytes:
        """Return what has come since; what came between the last look and a cut of the log is passed over."""
        size = _size(log)
        if size < self._position:
            self._position = 0
        if size == self._position:
            return b""
        with log.open("rb") as file:
            file.seek(self._position)
            more = file.read(CONSOLE_BYTES)
        self._position += len(more)
        return more


class ConsoleLogs:
    """Serves what guests wrote to their consoles, to those who may use these."""

    def __init__(self, guests: Guests, streams: Streams) -> None:
        self._guests = guests
        self._streams = streams

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Send the last of it, and with ``follow=true`` what comes, until the machine ends.

        Raises:
            HTTPConflict: There is no machine, or it was started by a version that kept no log.
        """
        machine = self._guests.last(request)
        if not machine.console_logs[1].exists():
            name = request.match_info["name"]
            message = f"{name}: its console is kept from its next start on"
            raise answers.refusal(web.HTTPConflict, "Conflict", message, name=name)
        peer = KeptConsole(machine, follows=request.query.get("follow") == "true")

        async def connect() -> KeptConsole:
            return peer

        return await self._streams.serve(request, connect)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
