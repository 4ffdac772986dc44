"""Reads nested fields of manifests, of which any may be absent, null or of another shape: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

__all__ = ["annotations_of", "items", "labels_of", "load_balancer_addresses", "mapping", "status_of"]


def mapping(manifest: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the object at a path; an empty one where it, or one above it, is absent, null or no object."""
    value: Any = manifest
    for field in path:
        value = cast("Mapping[str, Any]", value).get(field)
        if not isinstance(value, Mapping):
            return {}
    return cast("Mapping[str, Any]", value)


def items(manifest: Mapping[str, Any], *path: str) -> Sequence[Mapping[str, Any]]:
    """Return the list of objects at a path; an empty one where it is absent, null or no list."""
    value = mapping(manifest, *path[:-1]).get(path[-1])
    return cast("Sequence[Mapping[str, Any]]", value) if isinstance(value, list | tuple) else ()


def status_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object's status, empty where it has none."""
    return mapping(manifest, "status")


def annotations_of(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """Return an object's annotations, empty where it has none."""
    return mapping(manifest, "metadata", "annotations")


def labels_of(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """Return an object's labels, empty where it has none."""
    return mapping(manifest, "metadata", "labels")


def load_balancer_addresses(service: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the load balancer addresses that a Service shows; an entry without one names a host."""
    return tuple(one["ip"] for one in items(service, "status", "loadBalancer", "ingress") if one.get("ip"))
