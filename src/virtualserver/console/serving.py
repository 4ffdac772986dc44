"""A console on loopback, as `vs ui` starts it: for one user, until it is ended."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from aiohttp import web

from virtualserver.console.application import Console
from virtualserver.console.pages import Pages

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from virtualserver.kube.kubeconfig import Credentials

__all__ = ["Served", "serving"]

_LOOPBACK: Final = "127.0.0.1"
_END_SECONDS: Final = 1.0


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
    hosts: set[str] = set()
    console = Console(pages or Pages.carried(), hosts=hosts, site=site)
    # No log of requests: a link's code is in the path of one.
    runner = web.AppRunner(console.application(), access_log=None, shutdown_timeout=_END_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, _LOOPBACK, port).start()
        taken = runner.addresses[0][1]
        hosts.update(f"{name}:{taken}" for name in (_LOOPBACK, "localhost"))
        yield Served(console, f"http://{_LOOPBACK}:{taken}")
    finally:
        await runner.cleanup()
