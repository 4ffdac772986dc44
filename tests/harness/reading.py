"""Reads objects and sends requests as the administrator, over a connection that is kept.

Tests look again and again at what they wait for; kubectl, a process each time, would take half a processor for that.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.controlplane.rest import Rest, RestError
from virtualserver.kube import kinds
from virtualserver.kube.objects import Resource

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation

__all__ = ["Reader"]

_KINDS: Final = {
    "dv": kinds.DATA_VOLUME,
    "endpointslice": kinds.ENDPOINT_SLICE,
    "namespace": Resource("", "v1", "namespaces", "Namespace", namespaced=False),
    "node": kinds.NODE,
    "pvc": kinds.PERSISTENT_VOLUME_CLAIM,
    "service": kinds.SERVICE,
    "vm": kinds.VIRTUAL_MACHINE,
    "vmi": kinds.VIRTUAL_MACHINE_INSTANCE,
    "vs": Resource(names.GROUP, names.VERSION, names.PLURAL, names.KIND),
}
"""By kubectl's short names."""


class Reader:
    """Reads the objects of one installation, which may be stopped, started and made anew meanwhile."""

    def __init__(self, installation: Installation) -> None:
        """Name the installation; nothing is read yet."""
        self._installation = installation
        self._rest: Rest | None = None
        self._made = 0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connection; the next look opens another one."""
        if self._rest is not None:
            self._rest.close()
            self._rest = None

    @staticmethod
    def reads(kind: str) -> bool:
        """Return whether `get` knows a kind by this name."""
        return kind in _KINDS

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        """Return an object, ``{}`` where there is none.

        Args:
            kind: One of kubectl's names that `reads` knows.
            name: The object's name.
            namespace: Its namespace; without effect on kinds that have none.

        Raises:
            AssertionError: The server does not answer, or refuses.
        """
        path = _KINDS[kind].path(namespace=namespace, name=name)
        try:
            return self._call("GET", path)
        except RestError as error:
            if error.status == 404:
                return {}
            raise AssertionError(f"GET {path}: {error}") from error
        except OSError as error:
            raise AssertionError(f"GET {path}: {error}") from error

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Return the objects of a kind in all namespaces; the kind is one that `reads` knows."""
        return list(self._call("GET", _KINDS[kind].path())["items"])

    def put(self, path: str, body: object = None) -> str:
        """Send a PUT, and return the answer as JSON, or the words of the refusal."""
        try:
            return json.dumps(self._call("PUT", path, body), separators=(",", ":"))
        except RestError as error:
            return str(error)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        with self._lock:
            try:
                return self._connected().call(method, path, body)
            except OSError:
                # A server that ended since has taken the connection with it; a new one may be there.
                return self._connected().call(method, path, body)

    def _connected(self) -> Rest:
        """Return the connection; a new one where the installation has other keys than before."""
        made = self._installation.kubeconfig.stat().st_mtime_ns
        if self._rest is None or made != self._made:
            self.close()
            cluster = json.loads(self._installation.kubeconfig.read_bytes())["clusters"][0]["cluster"]
            pki = self._installation.pki
            self._rest, self._made = (
                Rest(cluster["server"], authority=pki / "ca.crt", client=pki / "clients/admin", timeout_seconds=60),
                made,
            )
        return self._rest
