"""The APIs that kube-apiserver hands on to the node, taken away while the node does not answer.

An API whose server does not answer makes discovery fail, and without discovery no namespace can be deleted, whatever is
in it. The node tells of its APIs again when it works.
Source: https://kubernetes.io/docs/tasks/extend-kubernetes/setup-extension-api-server/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.controlplane.rest import Rest
from virtualserver.kube import fields, kinds

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation

__all__ = ["withdraw"]

_NAMESPACE: Final = "virtualserver-system"
_LIMIT_SECONDS: Final = 10.0


def withdraw(installation: Installation, url: str) -> list[str]:
    """Delete every APIService that leads to the node, and return their names.

    Args:
        installation: The installation's files.
        url: The API server's address.

    Raises:
        RestError: The API server refuses it.
        OSError: It does not answer.
    """
    with Rest.as_administrator(installation, url, timeout_seconds=_LIMIT_SECONDS) as server:
        found = [
            entry["metadata"]["name"]
            for entry in server.call("GET", kinds.API_SERVICE.path())["items"]
            if fields.mapping(entry, "spec", "service").get("namespace") == _NAMESPACE
        ]
        for name in found:
            server.call("DELETE", kinds.API_SERVICE.path(name=name))
    return found
