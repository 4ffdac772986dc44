"""What an operator knows, for tests without an API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from harness import virtualservers
from virtualserver.api.mac import MacKey
from virtualserver.kube.cache import Cache
from virtualserver.operator.watches import concerned, watches

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Resource

MAC_KEY = MacKey(bytes(32), {})


class Known:
    """A cache with the objects that are put into it, and which servers each change concerns."""

    def __init__(self) -> None:
        self.cache = Cache(cast("Client", None), watches(MAC_KEY))
        self._version = 0

    def put(self, resource: Resource, manifest: dict[str, Any]) -> list[tuple[str, str]]:
        """Take in an object as a watch would, and return who is concerned."""
        self._version += 1
        manifest["metadata"]["resourceVersion"] = str(self._version)
        manifest["metadata"].setdefault("uid", f"uid-{self._version}")
        change = self.cache._stores[resource].put(manifest)  # pyright: ignore[reportPrivateUsage]
        assert change
        return concerned(self.cache, MAC_KEY, resource, change)

    def drop(self, resource: Resource, manifest: dict[str, Any]) -> list[tuple[str, str]]:
        """Take in that an object is deleted, and return who is concerned."""
        self._version += 1
        manifest["metadata"]["resourceVersion"] = str(self._version)
        change = self.cache._stores[resource].drop(manifest)  # pyright: ignore[reportPrivateUsage]
        assert change
        return concerned(self.cache, MAC_KEY, resource, change)


def a_server(name: str, *, created: str = "2026-01-01T00:00:00Z", **spec: Any) -> dict[str, Any]:
    manifest = virtualservers.a_manifest(name, **spec)
    manifest["metadata"] |= {"uid": f"uid-of-{name}", "creationTimestamp": created}
    return manifest


def an_object(kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": {}}
