"""The way from a page to the API server: requests and answers as they are, with the signed-in user's own rights.

It reads none of them. What it adds is the user's credential, and what it leaves out is everything by which a page could
be somebody else (``Authorization``, ``Impersonate-User``) or show as a page what the API server says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import yarl
from aiohttp import web

from virtualserver.console import body, guard
from virtualserver.kube.answer import AbortingAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from virtualserver.kube.kubeconfig import Credentials

__all__ = ["LARGEST_BODY", "MOST_SOCKETS", "Gateway", "NobodyError", "TooManySocketsError", "is_offered"]

LARGEST_BODY: Final = 4 << 20
"""Bytes of a request's body; an API server takes 3 MiB."""

MOST_SOCKETS: Final = 64
"""Websockets of one sign-in at once."""

_REQUESTS: Final = 32
"""Requests of one sign-in at once; more wait. A browser makes six."""

_ASKED: Final = ("Accept", "Content-Type")
_ANSWERED: Final = ("Content-Type", "Retry-After", "Warning")
_PATHS: Final = re.compile(r"/(?:apis?|openapi/v3)(?:/[A-Za-z0-9._:~%-]+)+/?|/version")
_DOTS: Final = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_CHUNK_BYTES: Final = 64 << 10
_CONNECT_SECONDS: Final = 10.0
_PING_SECONDS: Final = 30.0
"""An API server that says nothing for so long is asked whether it is there: its machine or the way may be gone."""
_USER_AGENT: Final = "vs-console"
_REVIEWS: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_REVIEW: Final = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


class NobodyError(Exception):
    """The API server does not say whose a credential is; the message says why."""


class TooManySocketsError(Exception):
    """The sign-in has as many websockets as it may have."""


class Gateway:
    """One sign-in's connections to the API server; bounded, since all users share this process.

    Attributes:
        credentials: The user's.
    """

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._turns = asyncio.Semaphore(_REQUESTS)
        self._sockets = 0
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=credentials.tls or False, limit=0, keepalive_timeout=60),
            response_class=AbortingAnswer,
            middlewares=(_no_socket_elsewhere,),
            headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
            # An answer may take as long as it takes: a list of all servers, or a stream that goes on.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        )

    async def close(self) -> None:
        """End all of them."""
        await self._session.close()

    async def user(self) -> str:
        """Return the user's name as the API server says it.

        Raises:
            NobodyError: It does not say it.
        """
        server = self.credentials.server
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                answer = await self._session.post(
                    self._url(_REVIEWS),
                    json=_REVIEW,
                    headers=self._authorization(),
                    allow_redirects=False,
                    **self._name(),
                )
                review = await answer.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NobodyError(f"{server} does not answer: {error or type(error).__name__}") from None
        if answer.status == web.HTTPUnauthorized.status_code:
            raise NobodyError(f"{server} does not know you: what you showed is wrong, is over, or is another cluster's")
        try:
            return str(review["status"]["userInfo"]["username"])
        except (LookupError, TypeError):
            raise NobodyError(f"{server} does not say who you are (status {answer.status})") from None

    async def request(self, request: web.Request, path: str) -> web.StreamResponse:
        """Send a request on, and its answer back.

        Args:
            request: The page's.
            path: The path below the API server's address, and the query, as they were sent; its path `is_offered`.
        """
        headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
        headers |= self._authorization()
        async with self._turns:
            return await self._passed(request, path, headers)

    async def _passed(self, request: web.Request, path: str, headers: Mapping[str, str]) -> web.StreamResponse:
        sent = await body.read(request)
        try:
            # Where an API server sends its client on to is the page's to know, and nothing that this machine asks.
            answer = await self._session.request(
                request.method,
                self._url(path),
                data=sent or None,
                headers=headers,
                allow_redirects=False,
                **self._name(),
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _away(error)
        async with answer:
            response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
            await response.prepare(request)
            # What breaks off here breaks off there: the page sees that the answer has no end.
            async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                await response.write(chunk)
            await response.write_eof()
            return response

    @contextlib.asynccontextmanager
    async def socket(self, path: str, *, protocols: tuple[str, ...]) -> AsyncGenerator[aiohttp.ClientWebSocketResponse]:
        """Yield a websocket of the API server's.

        Args:
            path: As for `request`.
            protocols: The subprotocols that the page offers.

        Raises:
            TooManySocketsError: The sign-in has as many as it may have.
            aiohttp.ClientError: There is none; a `WSServerHandshakeError` has the API server's status.
            TimeoutError: Nobody answered.
        """
        if self._sockets >= MOST_SOCKETS:
            raise TooManySocketsError(f"{MOST_SOCKETS} windows and lists are open already: close some")
        self._sockets += 1
        try:
            async with self._connected(path, protocols) as socket:
                yield socket
        finally:
            self._sockets -= 1

    @contextlib.asynccontextmanager
    async def _connected(
        self, path: str, protocols: tuple[str, ...]
    ) -> AsyncGenerator[aiohttp.ClientWebSocketResponse]:
        async with asyncio.timeout(_CONNECT_SECONDS):
            socket: aiohttp.ClientWebSocketResponse = await self._session.ws_connect(
                self._url(path),
                protocols=protocols,
                headers=self._authorization(),
                max_msg_size=0,
                heartbeat=_PING_SECONDS,
                # It opens no watch to who names none, and takes any: browsers are kept apart by our own guard.
                origin=self.credentials.server,
                server_hostname=self.credentials.tls_server_name,
            )
        try:
            yield socket
        finally:
            await socket.close()

    def _authorization(self) -> dict[str, str]:
        authorization = self.credentials.authorization()
        return {"Authorization": authorization} if authorization else {}

    def _name(self) -> dict[str, Any]:
        name = self.credentials.tls_server_name
        return {"server_hostname": name} if name else {}

    def _url(self, path: str) -> yarl.URL:
        return yarl.URL(f"{self.credentials.server}{path}", encoded=True)


async def _no_socket_elsewhere(
    request: aiohttp.ClientRequest, ask: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Refuse a websocket that an answer sends on to somebody else; aiohttp's option for that is for requests alone."""
    answer = await ask(request)
    if "Upgrade" in request.headers and 300 <= answer.status < 400:
        answer.close()
        raise aiohttp.WSServerHandshakeError(answer.request_info, (), status=answer.status, headers=answer.headers)
    return answer


def is_offered(path: str) -> bool:
    """Return whether a path, without its query, is one that pages have a use for."""
    return bool(_PATHS.fullmatch(path)) and not _DOTS.search(path)


def _away(error: BaseException) -> web.Response:
    """Return that the API server does not answer, in the form in which it would say so itself."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": "ServiceUnavailable",
        "message": f"the API server does not answer: {error or type(error).__name__}",
        "code": 503,
    }
    return web.Response(status=503, text=json.dumps(status), content_type="application/json", headers=guard.RELAYED)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _ANSWERED if name in headers} | dict(guard.RELAYED)
