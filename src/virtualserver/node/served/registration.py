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
from virtualserver.node.served import definitions, subresources

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource

__all__ = ["manifests", "missing", "register"]

_NAMESPACE: Final = "virtualserver-system"
_NAME: Final = names.NODE_MANAGER
_SERVED: Final = tuple((group, version) for group, versions in subresources.SERVED for version in versions)
_NAMES: Final = frozenset(f"{version}.{group}" for group, version in _SERVED)
"""Their APIServices."""
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
    wanted = manifests(port=port, authority=authority)
    found = [await _live(client, resource, manifest["metadata"]["name"]) for resource, manifest in wanted]
    missed, written = _missed(found, await _listed(client)), 0
    for (resource, manifest), live in zip(wanted, found, strict=True):
        metadata = manifest["metadata"]
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
    found = [await _live(client, kinds.API_SERVICE, name) for name in sorted(_NAMES)]
    return _missed(found, await _listed(client))


async def _live(client: Client, resource: Resource, name: str) -> Manifest:
    """Return an object as it is, empty where there is none."""
    try:
        return await client.get(resource, name, namespace=_NAMESPACE if resource.namespaced else "")
    except NotFound:
        return dict[str, Any]()


async def _listed(client: Client) -> set[str]:
    """Return the names of the APIServices of which kube-apiserver knows now what they serve."""
    answer = await client.request("GET", "/apis", accept=_DISCOVERY)
    return {
        f"{version['version']}.{group['metadata']['name']}"
        for group in fields.items(answer, "items")
        for version in fields.items(group, "versions")
        if version.get("freshness") == "Current"
    }


def _missed(found: Iterable[Manifest], listed: Set[str]) -> set[str]:
    """Return the names of the APIServices that are not listed, or not available."""
    available = {live["metadata"]["name"] for live in found if is_true(live, "Available")}
    return set(_NAMES - (listed & available))


def _differs(live: Manifest, manifest: Manifest) -> bool:
    """Return whether an object does not say what it should."""
    wanted, spec = manifest["spec"], fields.mapping(live, "spec")
    if "ports" in wanted:
        spec = {**spec, "ports": [{"port": one["port"]} for one in fields.items(live, "spec", "ports")]}
    return bool(merge_patch(spec, wanted, partial=True))
