"""Links for whoever shows who they are, by a socket of this machine that everybody on it may connect to.

A caller hands over what a kubeconfig says of its user, and gets a link that signs in as that user. So nobody gets by it
what they did not have; and whom the API server does not know gets none, so that nobody's links are pushed out.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp
import msgspec
from aiohttp import web

from virtualserver.console import body
from virtualserver.console.gateway import Gateway, NobodyError
from virtualserver.kube.kubeconfig import KubeconfigError, read_kubeconfig

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.kube.kubeconfig import Credentials, Kubeconfig

__all__ = ["Identity", "Invitations", "LinkError", "MakesLink", "link_of"]

_SERVER: Final = "/server"
_LINKS: Final = "/links"
_LARGEST: Final = 64 << 10
_SECONDS: Final = 20.0
_ATTEMPTS: Final = 8
"""The API server is asked about so many at once."""


class MakesLink(Protocol):
    """Makes a link that signs in."""

    def __call__(self, credentials: Credentials, *, user: str) -> str:
        """Return a new one, for the user of these credentials."""
        ...


class LinkError(Exception):
    """There is no link; the message says why."""


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who somebody is, as a kubeconfig says it.

    Attributes:
        namespace: The one that is meant where none is named.
        token: ``""`` for none.
        certificate: PEM; ``""`` for none.
        key: PEM; ``""`` for none.
    """

    namespace: str
    token: str = ""
    certificate: str = ""
    key: str = ""


class Invitations:
    """Gives links."""

    def __init__(self, link: MakesLink, *, server: Kubeconfig) -> None:
        """Give none yet.

        Args:
            link: Makes links.
            server: The API server that the console speaks to.
        """
        self._link = link
        self._server = server
        self._attempts = asyncio.Semaphore(_ATTEMPTS)

    def application(self) -> web.Application:
        """Return the application that serves them."""
        application = web.Application(client_max_size=_LARGEST)
        application.router.add_get(_SERVER, self._tell)
        application.router.add_post(_LINKS, self._invite)
        return application

    async def _tell(self, request: web.Request) -> web.Response:
        """Say of which API server this is, so that nobody tells it who they are to another."""
        del request
        return web.Response(text=self._server.server)

    async def _invite(self, request: web.Request) -> web.Response:
        try:
            identity = msgspec.json.decode(await body.read(request), type=Identity)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        config = dataclasses.replace(
            self._server,
            token=identity.token,
            certificate=identity.certificate.encode(),
            key=identity.key.encode(),
            namespace=identity.namespace,
        )
        try:
            credentials = config.credentials()
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        async with self._attempts:
            gateway = Gateway(credentials)
            try:
                user = await gateway.user()
            except NobodyError as error:
                raise web.HTTPForbidden(text=str(error)) from None
            finally:
                await gateway.close()
        return web.Response(text=self._link(credentials, user=user))


async def link_of(
    socket: Path, kubeconfig: Path, *, namespace: str, passing: tuple[bytes, bytes] | None = None
) -> str | None:
    """Ask the console of a socket for a link with a kubeconfig's rights.

    Args:
        socket: Where a console gives links.
        kubeconfig: Whose rights.
        namespace: The one that is meant where none is named.
        passing: A certificate of the same user's and its key (PEM), to be told instead of those of the kubeconfig; None
            for none.

    Returns:
        The link; None where no console is there, or one of another API server.

    Raises:
        LinkError: The console gives none, or the kubeconfig cannot be used.
    """
    try:
        config = read_kubeconfig(kubeconfig)
        token = config.bearer()
    except KubeconfigError as error:
        raise LinkError(str(error)) from error
    certificate, key = ((part or b"").decode() for part in passing or (config.certificate, config.key))
    identity = Identity(namespace, token, certificate, key)
    connector, timeout = aiohttp.UnixConnector(str(socket)), aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with aiohttp.ClientSession("http://console", connector=connector, timeout=timeout) as session:
            async with session.get(_SERVER) as server:
                if await server.text() != config.server:
                    return None
            async with session.post(_LINKS, data=msgspec.json.encode(identity)) as answer:
                said = await answer.text()
    except (aiohttp.ClientConnectionError, OSError):
        return None
    if answer.status != web.HTTPOk.status_code:
        raise LinkError(said)
    return said
