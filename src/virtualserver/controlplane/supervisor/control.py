"""How `vs` talks to a supervisor: one JSON line each way over a unix socket that only root can open.

A supervisor that an earlier version of this program started is asked too, before a later one replaces it: fields are
only ever added, with defaults.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["ComponentReport", "Request", "SupervisorReport", "ask", "serve"]

Request = Literal["status", "stop", "detach"]
"""What a supervisor can be asked: only to report; to end all components and itself; to end itself alone."""


class _Message(msgspec.Struct, frozen=True):
    do: Request


class ComponentReport(msgspec.Struct, frozen=True):
    """What a supervisor knows about one component; see `lifecycle.ComponentStatus`."""

    name: str
    pid: int | None
    version: str
    ready: bool
    restarts: int
    last_error: str
    trouble: str = ""


class SupervisorReport(msgspec.Struct, frozen=True):
    """A supervisor's answer.

    Attributes:
        pid: The supervisor's.
        settings: What it was started with, as `record.ControlPlaneSettings` is recorded.
        stopping: Whether it ends its components.
        bootstrapped: Whether the manifests are applied.
        bootstrap_error: Why the manifests cannot be applied, ``""`` where nothing speaks against it.
        components: In the order of their start.
        site_trouble: What of site.yaml could not be carried out, in words; ``""`` for nothing.
        database: Why users may not write what they like; ``""`` where they may.
    """

    pid: int
    settings: dict[str, Any]
    stopping: bool
    bootstrapped: bool
    bootstrap_error: str
    components: list[ComponentReport]
    site_trouble: str = ""
    database: str = ""


async def serve(path: Path, answer: Callable[[Request], SupervisorReport]) -> asyncio.Server:
    """Answer requests on a unix socket of mode 0600, which replaces a dead supervisor's."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who asks for what we do not know, or goes away, gets no answer.
        with contextlib.suppress(ConnectionError, ValueError):
            request = msgspec.json.decode(await reader.readline(), type=_Message)
            writer.write(msgspec.json.encode(answer(request.do)) + b"\n")
            await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)  # noqa: ASYNC240 - it blocks for microseconds, before anything else runs
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(handle, path)
    finally:
        os.umask(before)


def ask(path: Path, do: Request, *, timeout_seconds: float = 10) -> SupervisorReport | None:
    """Ask a supervisor and return its answer, None where no supervisor listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_seconds)
        try:
            connection.connect(str(path))
            connection.sendall(msgspec.json.encode(_Message(do)) + b"\n")
            with connection.makefile("rb") as file:
                line = file.readline()
        except (FileNotFoundError, ConnectionError, TimeoutError):
            return None
    return msgspec.json.decode(line, type=SupervisorReport) if line else None
