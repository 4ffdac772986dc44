"""HTTP to one API server: credentials, deadlines, and waiting where the server asks for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import time
import urllib.parse
import weakref
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec
import yarl

from virtualserver.kube.answer import AbortingAnswer
from virtualserver.kube.errors import Unavailable, error_from_response
from virtualserver.kube.stream import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from virtualserver.kube.kubeconfig import Credentials
    from virtualserver.kube.objects import Manifest

__all__ = ["JSON", "Connection"]

_logger = logging.getLogger(__name__)

JSON: Final = "application/json"

_REQUEST_SECONDS: Final = 60.0
"""Longer than the server's own limit of 34 s for a request, so that its error arrives rather than ours."""
_TRIES: Final = 5
_CLOSING_SECONDS: Final = 1.0
_LONGEST_WAIT_SECONDS: Final = 30.0
_PING_SECONDS: Final = 30.0

_HEADERS: Final = 4096
"""Of an answer. The server warns of each unknown field in a header of its own, of which there are many in 4 KiB."""

_DEEPEST: Final = 10_100
"""Levels of JSON that an API server lets in, and some. Source: sigs.k8s.io/json."""

_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode


class Connection:
    """One user's connections to one API server.

    An answer that asks to be tried again (``Retry-After``) is, at most four times and never more than 30 s later each.

    Args:
        credentials: Whom to talk to, and as whom.
        user_agent: Names our program in the server's audit log.
    """

    def __init__(self, credentials: Credentials, *, user_agent: str) -> None:
        self._credentials = credentials
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def open(self) -> None:
        """Get ready for requests of the running event loop; nothing is connected yet."""
        # Connections are not counted: watches hold one each, and writers are as many as the controllers' workers.
        # 60 s is below the 90 s after which the server closes a connection that it thinks idle.
        connector = aiohttp.TCPConnector(
            ssl=self._credentials.tls or False, limit=0, keepalive_timeout=60, socket_factory=self._socket
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            response_class=AbortingAnswer,
            # Packing and unpacking costs both sides more than a local network or loopback does.
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS),
            max_headers=_HEADERS,
        )

    async def close(self) -> None:
        """Close all connections, watches included; may be opened again."""
        if self._session:
            session, self._session = self._session, None
            await session.close()
            # One that was being made when its request was cancelled is nobody's, and ends when its handshake is over.
            end = time.monotonic() + _CLOSING_SECONDS
            while any(one.fileno() >= 0 for one in self._sockets) and time.monotonic() < end:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)

    def _socket(self, address: tuple[Any, ...]) -> socket.socket:
        """Return a socket for an address as `socket.getaddrinfo` has it, and remember it until it is closed."""
        made = socket.socket(*address[:3])
        self._sockets.add(made)
        return made

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> dict[str, Any]:
        """Send any request, such as a subresource's, and return the decoded answer as it is.

        Args:
            method: The HTTP method.
            path: Below the server's address, such as ``Resource.path`` returns.
            query: Parameters; empty ones are left out.
            body: Sent as JSON.
            content_type: Of the body.
            accept: Which form of the answer is asked for.

        Returns:
            The JSON object; ``{}`` for an answer without one.
        """
        response = await self._open(method, path, query=query, body=body, content_type=content_type, accept=accept)
        try:
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"the answer broke off: {_words(error)}", request=f"{method} {path}") from error
        finally:
            response.release()
        return _decode(data) if data[:1] == b"{" else {}

    async def lines(
        self, path: str, *, query: Mapping[str, str], read_seconds: float, accept: str = JSON
    ) -> AsyncGenerator[dict[str, Any]]:
        """Yield the JSON objects of an answer that has one a line and goes on for long.

        Args:
            path: Below the server's address.
            query: Parameters; empty ones are left out.
            read_seconds: After which a silent connection is given up as dead.
            accept: As for `request`.

        Raises:
            Unavailable: No connection, a silent or a cut one.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=read_seconds)
        response = await self._open("GET", path, query=query, timeout=timeout, accept=accept)
        try:
            async for line in _split(response):
                yield _decode(line)
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            raise Unavailable(f"the stream broke off: {_words(error)}", request=f"GET {path}") from error
        finally:
            response.close()

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, *, protocol: str, query: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Stream]:
        """Yield a stream of bytes, which ends with the context.

        Args:
            path: Below the server's address.
            query: Parameters; empty ones are left out.
            protocol: The websocket's subprotocol, in which each message is a piece of the stream.

        Raises:
            ApiError: The server refused it, in its own words.
            Unavailable: No connection.
        """
        if self._session is None:
            raise RuntimeError("the client is not entered: use `async with client:`")
        authorization = self._credentials.authorization()
        headers = {"Authorization": authorization} if authorization else {}
        try:
            socket = await self._session.ws_connect(
                self._url(path, query or {}),
                protocols=(protocol,),
                headers=headers,
                heartbeat=_PING_SECONDS,
                max_msg_size=0,
                server_hostname=self._credentials.tls_server_name,
            )
        except aiohttp.WSServerHandshakeError as error:
            # The refusal's words are not kept; whoever asks the same without a websocket is refused for the same.
            await self.request("GET", path, query=query)
            raise error_from_response(error.status, b"", request=f"GET {path}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                f"{self._credentials.server} does not answer: {_words(error)}", request=f"GET {path}"
            ) from error
        try:
            yield Stream(socket)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await socket.close()

    async def _open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - aiohttp's value, not a deadline of ours
    ) -> aiohttp.ClientResponse:
        """Return the opened answer of a request that succeeded, having waited where the server asked for it."""
        if self._session is None:
            raise RuntimeError("the client is not entered: use `async with client:`")
        url = self._url(path, query or {})
        headers = {"Accept": accept} | ({"Content-Type": content_type} if body is not None else {})
        if authorization := self._credentials.authorization():
            headers["Authorization"] = authorization
        options: dict[str, Any] = {"timeout": timeout} if timeout else {}
        if self._credentials.tls_server_name:
            options["server_hostname"] = self._credentials.tls_server_name
        data = _encode(body) if body is not None else None
        for attempt in range(1, _TRIES + 1):
            try:
                response = await self._session.request(method, url, data=data, headers=headers, **options)
                if response.status < 400:
                    return response
                content = await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Unavailable(
                    f"{self._credentials.server} does not answer: {_words(error)}", request=f"{method} {path}"
                ) from error
            error = error_from_response(
                response.status, content, retry_after=response.headers.get("Retry-After"), request=f"{method} {path}"
            )
            # With Retry-After the server says that it has not carried out the request (429, or 503 at start and end).
            if attempt == _TRIES or not isinstance(error, Unavailable) or error.retry_after is None:
                raise error
            _logger.info("%s; trying again in %.0f s", error, error.retry_after)
            await asyncio.sleep(min(error.retry_after, _LONGEST_WAIT_SECONDS))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _url(self, path: str, query: Mapping[str, str]) -> yarl.URL:
        """Return an address, without parameters that are empty."""
        parameters = urllib.parse.urlencode({name: value for name, value in query.items() if value})
        return yarl.URL(f"{self._credentials.server}{path}{'?' if parameters else ''}{parameters}", encoded=True)


async def _split(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Yield an answer's lines as they come, of any length; half a line at the end is an error."""
    rest = bytearray()
    async for chunk in response.content.iter_any():
        searched = len(rest)  # No newline before this: a line of many chunks is not searched again and again.
        rest += chunk
        begin = 0
        while (end := rest.find(b"\n", max(begin, searched))) >= 0:
            if end > begin:
                yield bytes(rest[begin:end])
            begin = end + 1
        del rest[:begin]
    if rest.strip():
        raise aiohttp.ClientPayloadError("it ended within a line")


def _decode(data: bytes) -> dict[str, Any]:
    """Read JSON as deep as an API server lets in.

    Whoever may write an object may give it ``managedFields`` of thousands of levels, which Python's own bound refuses:
    every listing and watch with such an object in it would fail, for all. A level takes 200 bytes of stack.
    """
    try:
        return _decoder.decode(data)
    except RecursionError:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + _DEEPEST)
        try:
            return _decoder.decode(data)
        finally:
            sys.setrecursionlimit(limit)


def _words(error: BaseException) -> str:
    """Return what an error says, or its name where it says nothing, as time-outs do."""
    return str(error) or type(error).__name__
