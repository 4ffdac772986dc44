"""Tells kube-apiserver where the node's aggregated API is.

Kept apart from the server because it must come after it. kube-apiserver looks at an APIService when it or its Service
changes, and else after up to half a minute: one that it found without a server, while the node was away, would stay
unavailable for as long. So the Service is changed where that is so.
Source: https://github.com/kubernetes/kube-aggregator, ``pkg/controllers/status/remote/remote_available_controller.go``.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import condition_of, is_true
from virtualserver.kube.errors import NotFound
from virtualserver.kube.patch import merge_patch
from virtualserver.node.served import definitions, networking, subresources

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource

__all__ = ["is_available", "manifests", "register"]

_NAMESPACE: Final = "virtualserver-system"
_NAME: Final = names.NODE_MANAGER
_LOOKED_FOR: Final = f"{names.DOMAIN}/looked-for"
"""The Service's annotation: when the node asked kube-apiserver to look again."""


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
    served += [(networking.GROUP, networking.VERSION), (definitions.GROUP, definitions.VERSION)]
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
                "versionPriority": 1 if group == definitions.GROUP else 15,
                "caBundle": base64.b64encode(authority).decode(),
                "service": {"namespace": _NAMESPACE, "name": _NAME, "port": port},
            },
        }
        result.append((kinds.API_SERVICE, api_service))
    return result


async def register(client: Client, *, port: int, authority: bytes, now: float) -> int:
    """Make these objects say so, and return how many were written.

    The Service is written too where kube-apiserver found no server behind an APIService: it then looks again at once.

    Args:
        client: Reads and writes them.
        port: Where the server listens on loopback.
        authority: The certificate (PEM) that signed the server's.
        now: Seconds since the epoch.

    Raises:
        ApiError: The API server refuses it.
    """
    written, is_missed = 0, False
    wanted = manifests(port=port, authority=authority)
    for resource, manifest in wanted:
        live = await _live(client, resource, manifest)
        available = condition_of(live, "Available")
        is_missed |= available is not None and available["status"] == "False"
        if _differs(live, manifest):
            await client.apply(resource, manifest, field_manager=names.NODE_MANAGER)
            written += 1
    if is_missed:
        resource, service = wanted[0]
        metadata = {**service["metadata"], "annotations": {_LOOKED_FOR: f"{now:.3f}"}}
        await client.apply(resource, {**service, "metadata": metadata}, field_manager=names.NODE_MANAGER)
        written += 1
    return written


async def is_available(client: Client, *, port: int, authority: bytes) -> bool:
    """Return whether kube-apiserver hands on what is asked of every APIService, so that a client is not answered 503.

    Args:
        client: Reads them.
        port: Where the server listens on loopback.
        authority: The certificate (PEM) that signed the server's.

    Raises:
        ApiError: The API server does not answer.
    """
    wanted = manifests(port=port, authority=authority)
    found = [await _live(client, resource, one) for resource, one in wanted if resource is kinds.API_SERVICE]
    return all(is_true(live, "Available") for live in found)


async def _live(client: Client, resource: Resource, manifest: Manifest) -> Manifest:
    """Return the object of a manifest's name as it is, empty where there is none."""
    metadata = manifest["metadata"]
    try:
        return await client.get(resource, metadata["name"], namespace=metadata.get("namespace", ""))
    except NotFound:
        return dict[str, Any]()


def _differs(live: Manifest, manifest: Manifest) -> bool:
    """Return whether an object does not say what it should."""
    wanted, spec = manifest["spec"], fields.mapping(live, "spec")
    if "ports" in wanted:
        spec = {**spec, "ports": [{"port": one["port"]} for one in fields.items(live, "spec", "ports")]}
    return bool(merge_patch(spec, wanted, partial=True))
