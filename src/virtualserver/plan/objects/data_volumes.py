"""The root disk: a DataVolume, cloned from an image's claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import quantity
from virtualserver.plan import ownership

if TYPE_CHECKING:
    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.plan.values import Manifest, Observed

__all__ = ["data_volume", "is_growing", "requested_bytes", "source_is_settled"]


def data_volume(server: VirtualServer, observed: Observed) -> Manifest:
    """Return the server's DataVolume; it has no owner where deletion keeps the disk."""
    root = server.spec.storage.root
    live = observed.data_volume
    source: Any = (
        {"pvc": {"namespace": root.source.pvc.namespace, "name": root.source.pvc.name}} if root.source.pvc else {}
    )
    if source_is_settled(server, observed) and live is not None:
        source = live["spec"].get("source", source)
    return {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": ownership.metadata(server, server.name, owned=not server.keeps_disk),
        "spec": {
            "source": source,
            "storage": {
                "accessModes": [root.access_mode],
                "volumeMode": root.volume_mode,
                "storageClassName": root.storage_class_name,
                "resources": {"requests": {"storage": str(root.size)}},
            },
        },
    }


def source_is_settled(server: VirtualServer, observed: Observed) -> bool:
    """Return whether the disk's content is there or on its way: a new source would say what is not so."""
    live = observed.data_volume
    if live is None or not ownership.is_ours(server, live):
        return False
    return live.get("status", {}).get("phase") not in (None, "", "Pending", "Unknown")


def requested_bytes(manifest: Manifest | None) -> int:
    """Return the size that a DataVolume asks for, 0 where it asks for none."""
    if manifest is None:
        return 0
    requests = manifest["spec"].get("storage", {}).get("resources", {}).get("requests", {})
    return quantity.in_bytes(requests.get("storage", 0))


def is_growing(server: VirtualServer, observed: Observed) -> bool:
    """Return whether the disk that exists is smaller than the manifest asks."""
    capacity = (observed.claim or {}).get("status", {}).get("capacity", {}).get("storage")
    return capacity is not None and quantity.in_bytes(capacity) < server.spec.storage.root.size_bytes
