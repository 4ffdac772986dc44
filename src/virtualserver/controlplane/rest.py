"""The little HTTPS that starting a control plane needs: blocking, from the standard library.

The supervisor stays small and starts fast without an HTTP library; operator and node use ``kube``.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.installation.installation import Installation

__all__ = ["Rest", "RestError"]

_JSON = "application/json"


class RestError(Exception):
    """The server answered with an error.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Rest:
    """One kept-alive connection to a server, with our client certificate; for one thread at a time.

    The certificates are read at each connection, so that those that were renewed meanwhile are shown to a server that
    was started again for that.

    Args:
        url: The server's address; a path in it is ignored.
        authority: The CA that signed its certificate.
        client: Certificate and key to show, as ``CLIENT.crt`` and ``CLIENT.key``; None: show none.
        timeout_seconds: How long to wait for a connection or an answer.
    """

    def __init__(self, url: str, *, authority: Path, client: Path | None, timeout_seconds: float = 10) -> None:
        self._parts = urllib.parse.urlsplit(url)
        self._authority = authority
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._connection: http.client.HTTPSConnection | None = None

    @classmethod
    def as_administrator(cls, installation: Installation, url: str, *, timeout_seconds: float) -> Rest:
        """Return a connection to an installation's API server, on which one may do everything."""
        authority, client = installation.pki / "ca.crt", installation.pki / "clients/admin"
        return cls(url, authority=authority, client=client, timeout_seconds=timeout_seconds)

    def __enter__(self) -> Rest:
        """Return the connection; it is closed with the context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def status(self, path: str) -> int:
        """Return the HTTP status of a GET; raises OSError where there is no answer."""
        return self._request("GET", path, None, {})[0]

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = _JSON,
        accept: str = _JSON,
        user: str | None = None,
    ) -> Any:
        """Send a request and return the decoded answer.

        Args:
            method: Such as ``PATCH``.
            path: The path, with the query.
            body: What JSON can say; None: no body.
            content_type: What the body is.
            accept: What the answer shall be.
            user: In whose name, which needs the right to impersonate; None: our own.

        Raises:
            RestError: The answer's status is 400 or above.
            OSError: There was no answer.
        """
        headers = {"Content-Type": content_type, "Accept": accept} | ({"Impersonate-User": user} if user else {})
        status, content = self._request(method, path, body, headers)
        try:
            answer: Any = json.loads(content) if content else {}
        except ValueError:
            answer = {"message": content.decode(errors="replace")[:500]}
        if status >= 400:
            raise RestError(status, str(answer.get("message", answer)))
        return answer

    def _request(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, bytes]:
        encoded = None if body is None else json.dumps(body).encode()
        try:
            if self._connection is None or self._connection.sock is None:
                self._connection = self._connect()
            self._connection.request(method, path, encoded, {"User-Agent": "virtualserver", **headers})
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if isinstance(error, OSError):
                raise
            raise ConnectionError(f"{type(error).__name__}: {error}") from error

    def _connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self._authority))
        if self._client:
            context.load_cert_chain(self._client.with_suffix(".crt"), self._client.with_suffix(".key"))
        assert self._parts.hostname  # noqa: S101 - our own URLs have one
        connection = http.client.HTTPSConnection(
            self._parts.hostname, self._parts.port, timeout=self._timeout_seconds, context=context
        )
        connection.connect()
        return connection
