"""VirtualServer manifests that tests start from."""

from __future__ import annotations

import copy
from typing import Any, cast

__all__ = ["a_virtual_server", "merged"]

_SPEC: dict[str, Any] = {
    "os": {"type": "linux"},
    "resources": {"cpu": {"count": 1}, "memory": "256Mi"},
    "storage": {
        "root": {
            "size": "1Gi",
            "storageClassName": "block-nvme-ord1",
            "source": {"pvc": {"namespace": "vd-images", "name": "tiny"}},
        }
    },
}


def a_virtual_server(
    spec: dict[str, Any] | None = None, *, name: str = "web", namespace: str = "team"
) -> dict[str, Any]:
    """Return a sound manifest with changes to its spec laid over it, as by a JSON merge patch."""
    return {
        "apiVersion": "virtualservers.coreweave.com/v1alpha1",
        "kind": "VirtualServer",
        "metadata": {"name": name, "namespace": namespace},
        "spec": merged(_SPEC, spec or {}),
    }


def merged(base: Any, patch: Any) -> Any:
    """Return what a JSON merge patch (RFC 7396) makes of a value."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result: dict[str, Any] = copy.deepcopy(cast("dict[str, Any]", base)) if isinstance(base, dict) else {}
    for key, value in cast("dict[str, Any]", patch).items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
