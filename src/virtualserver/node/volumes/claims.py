"""PersistentVolumeClaims: which image or disk one stands for, and what it says: pure.

There is no PersistentVolume behind a claim: the node itself is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names, quantity
from virtualserver.api.reasons import Reason
from virtualserver.api.support.data_volume import PERSISTENT_VOLUME_CLAIM
from virtualserver.api.support.field import obstacles
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import with_conditions
from virtualserver.kube.objects import controller_of, controller_reference

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest

__all__ = [
    "abandoned_status",
    "bound_status",
    "capacity_of",
    "claim_of",
    "image_of",
    "in_words",
    "is_alone",
    "progress_of",
    "requesting",
    "status_alone",
]


def image_of(claim: Manifest) -> str | None:
    """Return the digest of the image that a claim stands for, None where it has a disk of its own."""
    return fields.annotations_of(claim).get(names.IMAGE)


def progress_of(claim: Manifest) -> str | None:
    """Return what a claim says of the making of its image, `names.IMAGE_ABANDONED` among it; None: it is not made."""
    return fields.annotations_of(claim).get(names.IMAGE_PROGRESS)


def capacity_of(claim: Manifest) -> int | None:
    """Return the size in bytes that a bound claim has, None where it is not bound yet."""
    capacity = fields.mapping(claim, "status", "capacity").get("storage")
    return quantity.in_bytes(capacity) if capacity else None


def claim_of(volume: Manifest, *, digest: str, size: int) -> dict[str, Any]:
    """Return the claim of a DataVolume.

    Args:
        volume: The DataVolume.
        digest: Of the image that its disk starts from.
        size: Bytes of the disk as the guest sees it.
    """
    metadata = volume["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": dict(fields.labels_of(volume)),
            "annotations": {names.BASE_IMAGE: digest},
            "ownerReferences": [controller_reference(kinds.DATA_VOLUME, volume)],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": "Block",
            **requesting(size)["spec"],
            "volumeName": f"disk-{metadata['uid']}",
        },
    }


def requesting(size: int) -> dict[str, Any]:
    """Return what of a claim says how many bytes it asks for."""
    return {"spec": {"resources": {"requests": {"storage": str(size)}}}}


def bound_status(claim: Manifest, size: int) -> dict[str, Any]:
    """Return the status of a claim whose disk or image is there, with its size in bytes."""
    return {
        "phase": "Bound",
        "accessModes": claim["spec"].get("accessModes") or ["ReadWriteOnce"],
        "capacity": {"storage": in_words(size)},
    }


def is_alone(claim: Manifest) -> bool:
    """Return whether a claim waits for a disk that nobody makes: it is no image's, and no DataVolume's."""
    of_image = image_of(claim) is not None or progress_of(claim) is not None
    return not of_image and controller_of(claim) is None and capacity_of(claim) is None


def status_alone(claim: Manifest, *, now: float) -> dict[str, Any]:
    """Return the status of a claim that is alone, which says so."""
    told = "; ".join(f"{path}: {field.note}" for path, field in obstacles(PERSISTENT_VOLUME_CLAIM, claim).items())
    reason = Reason.NOT_SUPPORTED_YET.value
    conditions = [{"type": names.FULLY_APPLIED, "status": "False", "reason": reason, "message": told}]
    return {"conditions": with_conditions(claim, conditions, now=now, owned=(names.FULLY_APPLIED,))}


def abandoned_status(claim: Manifest, *, now: float) -> dict[str, Any]:
    """Return the status of a claim whose image nobody makes any more, which says so."""
    name = claim["metadata"]["name"]
    message = (
        f"whoever made this image ended before it was done ({progress_of(claim)}): run that command again "
        f"(vs image build, vs image add), or take the name back: vs image remove {name}"
    )
    conditions = [{"type": names.IMAGE_MADE, "status": "False", "reason": "Abandoned", "message": message}]
    return {"conditions": with_conditions(claim, conditions, now=now, owned=(names.IMAGE_MADE,))}


def in_words(size: int) -> str:
    """Return bytes as a person would write them."""
    for suffix, unit in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)
