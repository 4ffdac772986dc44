"""DataVolumes: how large a disk one asks for, and what its status says: pure, in CDI's words.

Source: CDI API v1beta1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import quantity
from virtualserver.kube import fields
from virtualserver.kube.conditions import with_conditions
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest

__all__ = ["size_of", "status_of", "waits_for"]

_MISSING_SECONDS: Final = 30.0
"""An image that is missing is looked for again this often; a new claim is seen at once."""


def waits_for(reason: str, message: str, *, is_final: bool = False) -> Wait:
    """Return why a DataVolume waits: whatever it waits for is seen when it changes, but for an image's files."""
    return Wait(reason, message, retry_seconds=_MISSING_SECONDS, is_final=is_final)


def size_of(volume: Manifest) -> int | Wait:
    """Return the bytes that a DataVolume asks for, whole mebibytes, or why they cannot be read."""
    spec = volume["spec"]
    request = fields.mapping(spec, "storage") or fields.mapping(spec, "pvc")
    text = fields.mapping(request, "resources", "requests").get("storage")
    if text is None:
        message = "spec.storage.resources.requests.storage is missing: write a size, such as 40Gi"
        return waits_for("SizeMissing", message)
    try:
        size = quantity.in_bytes(text)
    except quantity.QuantityError as error:
        return waits_for("SizeInvalid", f"spec.storage.resources.requests.storage: {error}")
    return size + -size % (1 << 20)


def status_of(volume: Manifest, wait: Wait | None, *, now: float) -> dict[str, Any]:
    """Return the status.

    Args:
        volume: The DataVolume.
        wait: What it waits for; None: its disk is there.
        now: Seconds since the epoch.
    """
    if wait is None:
        phase, progress = "Succeeded", "100.0%"
    elif wait.is_final:
        phase, progress = "Failed", "N/A"
    else:
        phase, progress = "Pending", "N/A"
    done = "True" if wait is None else "False"
    reason, message = ("Succeeded", "") if wait is None else (wait.reason, wait.message)
    conditions = [
        {"type": "Bound", "status": done, "reason": "Bound" if wait is None else reason, "message": message},
        {"type": "Running", "status": "False", "reason": "Completed" if wait is None else reason, "message": ""},
        {"type": "Ready", "status": done, "reason": reason, "message": message},
    ]
    return {
        "phase": phase,
        "progress": progress,
        "claimName": volume["metadata"]["name"] if wait is None else None,
        "conditions": with_conditions(volume, conditions, now=now),
    }
