"""Tells kube-apiserver where the node's aggregated API is.

Kept apart from the server because it must come after it. kube-apiserver looks at an APIService when it changes, and
else after up to half a minute, and at what it serves after up to a minute: one that it found without a server, while
the node was away, would stay unavailable, or unknown to kubectl, for as long. So it is changed where that is so.
Source: https://github.com/kubernetes/kube-aggregator, ``pkg/controllers/status/remote/remote_available_controller.go``
and ``pkg/apiserver/handler_discovery.go``.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import is_true
from virtualserver.kube.errors import NotFound
from virtualserver.kube.patch import merge_patch
from virtualserver.node.served import definitions, networking, subresources

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource

__all__ = ["manifests", "missing", "register"]

_NAMESPACE: Final = "virtualserver-system"
_NAME: Final = names.NODE_MANAGER
_SERVED: Final = (
    *((subresources.GROUP, version) for version in subresources.VERSIONS),
    (networking.GROUP, networking.VERSION),
    (definitions.GROUP, definitions.VERSION),
)
"""Groups and versions."""
_LOOKED_FOR: Final = f"{names.DOMAIN}/looked-for"
"""An APIService's annotation: when the node asked kube-apiserver to look again."""
_DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
"""The list of all resources, with what is known of how fresh each version's is."""


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
    for group, version in _SERVED:
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

    An APIService that kube-apiserver misses is written too: it then looks again at once.

    Args:
        client: Reads and writes them.
        port: Where the server listens on loopback.
        authority: The certificate (PEM) that signed the server's.
        now: Seconds since the epoch.

    Raises:
        ApiError: The API server refuses it.
    """
    written, missed = 0, await missing(client)
    for resource, manifest in manifests(port=port, authority=authority):
        metadata = manifest["metadata"]
        try:
            live = await client.get(resource, metadata["name"], namespace=metadata.get("namespace", ""))
        except NotFound:
            live = dict[str, Any]()
        is_missed = bool(live) and metadata["name"] in missed
        if is_missed or _differs(live, manifest):
            annotations = {"annotations": {_LOOKED_FOR: f"{now:.3f}"}} if is_missed else {}
            looked_for = {**manifest, "metadata": {**metadata, **annotations}}
            await client.apply(resource, looked_for, field_manager=names.NODE_MANAGER)
            written += 1
    return written


async def missing(client: Client) -> set[str]:
    """Return the names of the APIServices whose requests kube-apiserver does not hand on, or which it does not list.

    A request is answered 503 then, and kubectl knows none of the resources.

    Raises:
        ApiError: The API server does not answer.
    """
    listed = await client.request("GET", "/apis", accept=_DISCOVERY)
    fresh = {
        (group["metadata"]["name"], version["version"])
        for group in fields.items(listed, "items")
        for version in fields.items(group, "versions")
        if version.get("freshness") == "Current"
    }
    found: set[str] = set()
    for group, version in _SERVED:
        name = f"{version}.{group}"
        try:
            is_available = is_true(await client.get(kinds.API_SERVICE, name), "Available")
        except NotFound:
            is_available = False
        if not is_available or (group, version) not in fresh:
            found.add(name)
    return found


def _differs(live: Manifest, manifest: Manifest) -> bool:
    """Return whether an object does not say what it should."""
    wanted, spec = manifest["spec"], fields.mapping(live, "spec")
    if "ports" in wanted:
        spec = {**spec, "ports": [{"port": one["port"]} for one in fields.items(live, "spec", "ports")]}
    return bool(merge_patch(spec, wanted, partial=True))
