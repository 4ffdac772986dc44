"""Links for whoever shows who they are, by a socket of this machine that everybody on it may connect to.

A caller hands over what a kubeconfig says of its user, and gets a link that signs in as that user. So nobody gets by it
what they did not have; and whom the API server does not know gets none, so that nobody's links are pushed out.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from aiohttp import web

from virtualserver.console import body
from virtualserver.console.gateway import Gateway, NobodyError
from virtualserver.console.links import LINKS, SERVER, Identity

if TYPE_CHECKING:
    from virtualserver.kube.kubeconfig import Credentials, Kubeconfig

__all__ = ["Invitations", "MakesLink"]

_LARGEST: Final = 64 << 10
_ATTEMPTS: Final = 8
"""The API server is asked about so many at once."""


class MakesLink(Protocol):
    """Makes a link that signs in."""

    def __call__(self, credentials: Credentials, *, user: str) -> str:
        """Return a new one, for the user of these credentials."""
        ...


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
        application.router.add_get(SERVER, self._tell)
        application.router.add_post(LINKS, self._invite)
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
