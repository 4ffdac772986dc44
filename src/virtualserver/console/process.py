"""The console's process: it has a user and a port of its own, no rights, and no file but its pages.

On one machine it is on loopback, and gives links on a socket. With settings it is a cluster's: it is served by TLS, and
who has a token signs in.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.console.connections import Connections
from virtualserver.console.invitations import Invitations
from virtualserver.console.pages import MissingPagesError, Pages
from virtualserver.console.serving import bounded, serving, serving_cluster
from virtualserver.console.settings import Settings, SettingsError, load
from virtualserver.host.accepting import accepting
from virtualserver.host.files import write_atomically
from virtualserver.host.process import allow_open_files
from virtualserver.host.pulse import Pulse
from virtualserver.host.visible import begin_log
from virtualserver.kube.kubeconfig import Kubeconfig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from aiohttp import web

__all__ = ["main", "run"]

_EVERYBODY: Final = 0o666
_OPEN_FILES: Final = 8192
"""Each connection may have another one to the API server."""

_logger = logging.getLogger(__name__)


async def run(
    server: Kubeconfig, *, port: int, site: Path | None, doors: socket.socket | Settings, ready_file: Path
) -> None:
    """Serve the console, until SIGTERM or SIGINT.

    Args:
        server: The API server that it speaks to.
        port: On loopback, or on all addresses.
        site: The effective site profile, None where there is none.
        doors: Where links are given, bound and this process's alone; or the settings of a cluster's console.
        ready_file: Written, with our PID, once all is served.
    """
    work = asyncio.current_task()
    assert work is not None  # noqa: S101 - a coroutine that runs has its task
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    pulse, pages = Pulse(ready_file.with_name("pulse")), _pages()
    async with pulse.beating(), contextlib.AsyncExitStack() as stack:
        if isinstance(doors, socket.socket):
            served = await stack.enter_async_context(serving(port=port, pages=pages, site=site))
            await stack.enter_async_context(_giving(Invitations(served.link, server=server), doors))
        else:
            cluster = serving_cluster(doors, server.credentials(), port=port, pages=pages, site=site)
            await stack.enter_async_context(cluster)
        write_atomically(ready_file, f"{os.getpid()}\n", mode=0o644)
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def _giving(invitations: Invitations, links: socket.socket) -> AsyncGenerator[None]:
    """Give links on a socket while the context lasts."""

    async def listen(server: web.Server) -> asyncio.Server:
        return await asyncio.get_running_loop().create_unix_server(Connections().accepting(server), sock=links)

    async with accepting(bounded(invitations.application()), listen):
        yield


def _listener(path: Path) -> socket.socket:
    """Return a socket that everybody on the machine may connect to."""
    path.unlink(missing_ok=True)  # of a process that was killed
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    path.chmod(_EVERYBODY)
    return made


def _pages() -> Pages:
    """Return the pages; where nobody has built them, one that says so: nothing else of an installation waits for it."""
    try:
        return Pages.carried()
    except MissingPagesError as error:
        _logger.error("%s", error)
        return Pages.saying(str(error))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the console as its arguments say, and return its exit status."""
    options = _parser().parse_args(arguments)
    if options.wait:
        sys.stdin.buffer.read()
    begin_log()
    allow_open_files(_OPEN_FILES)
    server = Kubeconfig(options.server, authority=options.authority.read_bytes())
    try:
        doors = load(options.settings) if options.settings else _listener(options.socket)
    except SettingsError as error:
        _logger.error("%s", error)
        return 1
    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        asyncio.run(run(server, port=options.port, site=options.site, doors=doors, ready_file=options.ready_file))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m virtualserver.console", description="Serves the web console.")
    add = parser.add_argument
    add("--port", type=int, required=True, help="where it is served, on 127.0.0.1; with --settings, everywhere")
    add("--server", required=True, metavar="URL", help="the API server that it speaks to")
    add("--authority", type=Path, required=True, metavar="FILE", help="who signed that one's certificate")
    add("--site", type=Path, metavar="FILE", help="the site profile, by which is shown what would be made")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, metavar="FILE", help="where links that sign in are given")
    where.add_argument("--settings", type=Path, metavar="FILE", help="of a cluster's console: docs/console.md")
    add("--ready-file", type=Path, required=True, metavar="FILE", help="gets the PID once it is served")
    add("--wait", action="store_true", help="begin when standard input ends")
    return parser
