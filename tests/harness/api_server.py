"""The API server as tests of the VirtualServer's definition use it."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

from virtualserver.controlplane.rest import Rest, RestError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from harness.control_plane import ControlPlane

__all__ = ["Server", "connected", "own_namespace"]

SERVERS = "/apis/virtualservers.coreweave.com/v1alpha1/namespaces/{namespace}/virtualservers"


class Server:
    """The API server as the administrator sees it; paths of VirtualServers are those of one namespace."""

    def __init__(self, rest: Rest, namespace: str) -> None:
        self._rest = rest
        self.namespace = namespace
        self.servers = SERVERS.format(namespace=namespace)

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send any request."""
        return self._rest.call(method, path, body, **options)

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Any:
        """Create a VirtualServer."""
        query = "?dryRun=All" if dry_run else ""
        return self.call("POST", f"{self.servers}{query}", in_namespace(manifest, self.namespace))

    def get(self, name: str) -> Any:
        """Read a VirtualServer."""
        return self.call("GET", f"{self.servers}/{name}")

    def patch(self, name: str, patch: Mapping[str, Any], *, dry_run: bool = False, subresource: str = "") -> Any:
        """Send a JSON merge patch of a VirtualServer."""
        query = "?dryRun=All" if dry_run else ""
        path = f"{self.servers}/{name}{subresource}{query}"
        return self.call("PATCH", path, patch, content_type="application/merge-patch+json")

    def refusal_of(self, manifest: Mapping[str, Any]) -> str:
        """Return why the server would refuse to create a VirtualServer, ``""`` where it would not."""
        try:
            self.create(manifest, dry_run=True)
        except RestError as error:
            return str(error)
        return ""

    def refusal_of_patch(self, name: str, patch: Mapping[str, Any]) -> str:
        """Return why the server would refuse a patch, ``""`` where it would not."""
        try:
            self.patch(name, patch, dry_run=True)
        except RestError as error:
            return str(error)
        return ""


def in_namespace(manifest: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """Return a manifest with another namespace."""
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


@contextlib.contextmanager
def connected(control_plane: ControlPlane) -> Generator[Rest]:
    """Yield a connection as the administrator."""
    pki = control_plane.installation.pki
    rest = Rest(control_plane.url, authority=pki / "ca.crt", client=pki / "clients/admin", timeout_seconds=60)
    try:
        yield rest
    finally:
        rest.close()


@contextlib.contextmanager
def own_namespace(rest: Rest, namespace: str = "") -> Generator[Server]:
    """Yield the server with a namespace, of a name of its own unless one is given, that is removed at the end."""
    namespace = namespace or f"api-{uuid.uuid4().hex[:8]}"
    rest.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    try:
        yield Server(rest, namespace)
    finally:
        rest.call("DELETE", SERVERS.format(namespace=namespace))
        rest.call("DELETE", f"/api/v1/namespaces/{namespace}")
