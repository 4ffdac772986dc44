"""A user of one namespace, by the kubeconfig that ``vs user add`` gave: the same way in as people have."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Tenant"]

_TYPES = {"PATCH": "application/merge-patch+json"}


class Tenant:
    """Sends requests with a kubeconfig's token, over a connection that is kept.

    Attributes:
        kubeconfig: The kubeconfig, decoded.
        namespace: The namespace of its context.
    """

    def __init__(self, kubeconfig: dict[str, Any]) -> None:
        self.kubeconfig = kubeconfig
        self.namespace: str = kubeconfig["contexts"][0]["context"]["namespace"]
        self._token: str = kubeconfig["users"][0]["user"]["token"]
        cluster: dict[str, str] = kubeconfig["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        server = urlsplit(cluster["server"])
        assert server.hostname
        self._connection = http.client.HTTPSConnection(
            server.hostname, server.port, timeout=60, context=ssl.create_default_context(cadata=authority)
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "",
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Send a request and return the answer's status and object.

        Args:
            method: Such as ``POST``; a PATCH is a merge patch unless `kind` says otherwise.
            path: The path with its query.
            body: What is sent as JSON; None: nothing.
            kind: The body's content type.
            token: Another one than the kubeconfig's.
            headers: More of them.
        """
        sent = {
            **(headers or {}),
            "Authorization": f"Bearer {token or self._token}",
            "Content-Type": kind or _TYPES.get(method, "application/json"),
        }
        encoded = None if body is None else json.dumps(body)
        try:
            status, content = self._send(method, path, encoded, sent)
        except ConnectionError:  # the server, or the relay before it, was started again since
            status, content = self._send(method, path, encoded, sent)
        try:
            return status, json.loads(content) if content else {}
        except ValueError:
            return status, {"message": content.decode(errors="replace")}

    def _send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except BaseException:
            self._connection.close()  # the next request connects anew
            raise

    def status(self, method: str, path: str, body: object = None, *, token: str = "") -> int:
        """Send a request and return the answer's status alone."""
        return self.call(method, path, body, token=token)[0]
