"""A console that is served: on loopback for one machine, by TLS for a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Final

from aiohttp import web

from virtualserver.console.application import Console
from virtualserver.console.pages import Pages
from virtualserver.host.accepting import accepting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from virtualserver.console.settings import Settings
    from virtualserver.kube.kubeconfig import Credentials

__all__ = ["Served", "bounded", "serving", "serving_cluster"]

_LOOPBACK: Final = "127.0.0.1"
_END_SECONDS: Final = 1.0
_RENEWED_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 75.0
"""So long may a connection be without a request that is there with all its headers."""

_STUCK_SECONDS: Final = 60.0
"""So long may a connection's other side take nothing of what is sent to it."""


_HANDSHAKE_SECONDS: Final = 10.0


class Served:
    """A console that is served.

    Attributes:
        url: Where, without a slash at the end.
    """

    def __init__(self, console: Console, url: str) -> None:
        self.url = url
        self._console = console

    def link(self, credentials: Credentials, *, user: str = "") -> str:
        """Return a new link that signs in, once and within ten minutes, as the user of these credentials.

        Args:
            credentials: Whose rights.
            user: The user's name, where several share the console: each may have so many links.
        """
        return f"{self.url}{self._console.invite(credentials, user=user)}"


@contextlib.asynccontextmanager
async def serving(*, port: int = 0, pages: Pages | None = None, site: Path | None = None) -> AsyncGenerator[Served]:
    """Serve a console on loopback while the context lasts.

    Args:
        port: Where; 0: at one that is free.
        pages: What is shown; None: the pages that the package carries.
        site: As for `planned`.

    Raises:
        MissingPagesError: Nobody has built the pages.
        OSError: The port is another's.
    """
    origins: set[str] = set()
    console = Console(pages or Pages.carried(), origins=origins, site=site)
    async with _listening(console, _LOOPBACK, port) as taken:
        origins.update(f"http://{name}:{taken}" for name in (_LOOPBACK, "localhost"))
        yield Served(console, f"http://{_LOOPBACK}:{taken}")


@contextlib.asynccontextmanager
async def serving_cluster(
    settings: Settings, api: Credentials, *, port: int, pages: Pages | None = None, site: Path | None = None
) -> AsyncGenerator[int]:
    """Serve a console by TLS, on all addresses, while the context lasts; who has a token may sign in.

    Args:
        settings: How it is reached, and by what people sign in.
        api: As for `Entrance`.
        port: As for `serving`.
        pages: As for `serving`.
        site: As for `planned`.

    Yields:
        The port.

    Raises:
        MissingPagesError: As `serving`.
        OSError: As `serving`, or the certificate cannot be used.
    """
    tls = _context(settings)
    console = Console(pages or Pages.carried(), origins=(settings.url,), site=site, api=api)
    async with _listening(console, None, port, tls) as taken:
        renewing = asyncio.create_task(_renew(tls, settings))
        try:
            yield taken
        finally:
            renewing.cancel()


def bounded(application: web.Application) -> web.AppRunner:
    """Return what serves an application, to nobody for longer than they ask something."""
    # No log of requests: a link's code is in the path of one.
    return web.AppRunner(application, access_log=None, shutdown_timeout=_END_SECONDS, keepalive_timeout=_IDLE_SECONDS)


@contextlib.asynccontextmanager
async def _listening(
    console: Console, address: str | None, port: int, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[int]:
    async def listen(server: web.Server) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            console.connections.accepting(server),
            address,
            port,
            ssl=tls,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS if tls else None,
        )

    async with accepting(bounded(console.application()), listen) as server:
        for listening in server.sockets:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_STUCK_SECONDS * 1000))
        yield server.sockets[0].getsockname()[1]


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.certificate, settings.key)
    return context


async def _renew(tls: ssl.SSLContext, settings: Settings) -> None:
    """Take up a certificate that was renewed: those that are made by a cluster end after weeks."""
    while True:
        await asyncio.sleep(_RENEWED_SECONDS)
        # While it is being replaced, certificate and key may be of two times; the next look finds both.
        with contextlib.suppress(OSError):
            _context(settings)
            tls.load_cert_chain(settings.certificate, settings.key)
