"""Asks the console of this machine for a link that signs in with a kubeconfig's rights.

With the standard library alone: every start of an installation ends with such a link, and an HTTP library takes longer
to load than the console to answer.
"""

from __future__ import annotations

import http.client
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from virtualserver.kube.kubeconfig import KubeconfigError, read_kubeconfig

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LINKS", "SERVER", "Identity", "LinkError", "link_of"]

SERVER: Final = "/server"
"""Where a console says of which API server it is."""
LINKS: Final = "/links"
"""Where it gives a link to whoever posts an `Identity`."""

_SECONDS: Final = 20.0


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


class _Connection(http.client.HTTPConnection):
    """A connection over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("console", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def link_of(path: Path, kubeconfig: Path, *, namespace: str, passing: tuple[bytes, bytes] | None = None) -> str | None:
    """Ask the console of a socket for a link with a kubeconfig's rights.

    Args:
        path: The socket on which a console gives links.
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
    connection = _Connection(path)
    try:
        connection.request("GET", SERVER)
        if connection.getresponse().read().decode() != config.server:
            return None
        connection.request("POST", LINKS, msgspec.json.encode(Identity(namespace, token, certificate, key)))
        answer = connection.getresponse()
        said = answer.read().decode()
    except (http.client.HTTPException, OSError):
        return None
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        raise LinkError(said)
    return said
