"""Kinds and builders, for the reconcile core's tests."""

from __future__ import annotations

from typing import Any, Final

from virtualserver.kube.objects import Resource

CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
SERVICES: Final = Resource("", "v1", "services", "Service")
CLAIMS: Final = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")

LONG_SECONDS: Final = 60.0
"""Generous: the machine may be busy. Nothing waits this long unless it fails."""


def a_config_map(
    namespace: str, name: str = "a", *, data: dict[str, str] | None = None, **metadata: Any
) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": name, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {"key": "value"}}


def a_service(namespace: str, name: str = "a", *, ports: tuple[int, ...] = (22,), **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"ports": [{"name": f"p{port}", "port": port} for port in ports], **spec},
    }
