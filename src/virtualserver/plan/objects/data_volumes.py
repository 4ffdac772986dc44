"""The root disk: a DataVolume, cloned from an image's claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names, quantity
from virtualserver.host.counts import counted
from virtualserver.kube import fields
from virtualserver.plan import ownership
from virtualserver.plan.outcome import Apply

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest
    from virtualserver.plan.situation import Situation

__all__ = ["data_volumes", "is_growing", "requested_bytes", "requested_size", "smaller_than_image", "source_is_settled"]


def data_volumes(situation: Situation) -> list[Apply]:
    """Return the server's DataVolume; where deletion keeps the disk it has a mark instead of an owner."""
    server, live = situation.server, situation.root_disk
    root = server.spec.storage.root
    source: Any = (
        {"pvc": {"namespace": root.source.pvc.namespace, "name": root.source.pvc.name}} if root.source.pvc else {}
    )
    if source_is_settled(live) and live is not None:
        source = live["spec"].get("source", source)
    is_kept = situation.keeps_disk
    marks = {names.KEPT_FOR: ownership.kept_for(server, live)} if is_kept else None
    manifest = {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": ownership.metadata(server, server.name, annotations=marks, owned=not is_kept),
        "spec": {
            "source": source,
            "storage": {
                "accessModes": [root.access_mode.value],
                "volumeMode": root.volume_mode.value,
                "storageClassName": root.storage_class_name,
                "resources": {"requests": {"storage": str(root.size)}},
            },
        },
    }
    return [Apply(manifest)]


def source_is_settled(live: Manifest | None) -> bool:
    """Return whether a disk's content is there or on its way, so that another source would have no effect.

    Args:
        live: Our DataVolume as it exists, None where it does not.
    """
    if live is None:
        return False
    # One that is there has a claim, whatever it waits for: room to grow, mostly.
    status = fields.status_of(live)
    return bool(status.get("claimName")) or status.get("phase") not in (None, "", "Pending", "Unknown")


def requested_size(live: Manifest) -> str | int:
    """Return the size that a DataVolume asks for as it stands there, in whichever form; 0 where it asks for none."""
    form = "storage" if fields.mapping(live, "spec", "storage") else "pvc"
    size: str | int = fields.mapping(live, "spec", form, "resources", "requests").get("storage", 0)
    return size


def requested_bytes(live: Manifest) -> int:
    """Return the size that a DataVolume asks for, 0 where it asks for none, or somebody wrote what is no size."""
    try:
        return quantity.in_bytes(requested_size(live))
    except quantity.QuantityError:
        return 0


def is_growing(situation: Situation) -> bool:
    """Return whether the disk that exists is smaller than the manifest asks."""
    capacity = _capacity(situation.children.get("PersistentVolumeClaim", situation.server.name))
    return capacity is not None and quantity.in_bytes(capacity) < situation.server.spec.storage.root.size_bytes


def smaller_than_image(situation: Situation) -> str:
    """Say that the manifest asks for less than the root disk's image has, ``""`` where it does not.

    The disk has the image's size then: it can have no less.
    """
    root = situation.server.spec.storage.root
    claim = situation.children.get("PersistentVolumeClaim", situation.server.name)
    size = _capacity(claim) or _capacity(situation.surroundings.source)
    if size is None or quantity.in_bytes(size) <= root.size_bytes:
        return ""
    meant = quantity.meant(root.size)
    shown, remedy = root.size, f"write at least {size}"
    if meant:
        shown, remedy = counted(root.size_bytes, "byte"), f"did you mean {meant}?"
    return f"spec.storage.root.size: {shown} is less than its image has, so the disk has {size}: {remedy}"


def _capacity(claim: Manifest | None) -> str | None:
    """Return the size that a claim has, None where it is not known yet."""
    return fields.mapping(claim or {}, "status", "capacity").get("storage")
