"""Tells kube-apiserver where the node's aggregated API is.

Kept apart from the server because it must come after it: an APIService whose server did not answer at once stays
unavailable for half a minute. Source: measured, see docs/guests.md.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.errors import NotFound
from virtualserver.kube.patch import merge_patch
from virtualserver.node.served import definitions, subresources

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Resource

__all__ = ["manifests", "register"]

_NAMESPACE: Final = "virtualserver-system"
_NAME: Final = names.NODE_MANAGER


def manifests(*, port: int, authority: bytes) -> list[tuple[Resource, dict[str, Any]]]:
    """Return the Service and the APIServices: pure.

    Args:
        port: Where the server listens on loopback.
        authority: The certificate (PEM) that signed the server's.
    """
    service: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": _NAME, "namespace": _NAMESPACE},
        # An external name is asked as it is: the aggregator then needs neither an endpoint nor a route.
        "spec": {"type": "ExternalName", "externalName": "127.0.0.1", "ports": [{"port": port}]},
    }
    result: list[tuple[Resource, dict[str, Any]]] = [(kinds.SERVICE, service)]
    served = [(subresources.GROUP, version) for version in subresources.VERSIONS]
    served.append((definitions.GROUP, definitions.VERSION))
    for group, version in served:
        api_service: dict[str, Any] = {
            "apiVersion": kinds.API_SERVICE.api_version,
            "kind": kinds.API_SERVICE.kind,
            "metadata": {"name": f"{version}.{group}"},
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": 1000,
                # Old versions come after the API server's own, so that nobody prefers them.
                "versionPriority": 15 if group == subresources.GROUP else 1,
                "caBundle": base64.b64encode(authority).decode(),
                "service": {"namespace": _NAMESPACE, "name": _NAME, "port": port},
            },
        }
        result.append((kinds.API_SERVICE, api_service))
    return result


async def register(client: Client, *, port: int, authority: bytes) -> int:
    """Make these objects say so, and return how many were written."""
    written = 0
    for resource, manifest in manifests(port=port, authority=authority):
        metadata = manifest["metadata"]
        try:
            live = await client.get(resource, metadata["name"], namespace=metadata.get("namespace", ""))
        except NotFound:
            live = dict[str, Any]()
        wanted = manifest["spec"]
        if "ports" in wanted:
            now = [{"port": one["port"]} for one in fields.items(live, "spec", "ports")]
            live = {"spec": {**fields.mapping(live, "spec"), "ports": now}}
        if merge_patch(fields.mapping(live, "spec"), wanted, partial=True):
            await client.apply(resource, manifest, field_manager=names.NODE_MANAGER)
            written += 1
    return written
