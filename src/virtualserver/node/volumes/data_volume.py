"""DataVolumes: how large a disk one asks for, and what its status says: pure, in CDI's words.

Source: CDI API v1beta1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import quantity
from virtualserver.kube import fields
from virtualserver.kube.conditions import condition_of, with_conditions
from virtualserver.kube.objects import key_of
from virtualserver.node.volumes.claims import in_words
from virtualserver.node.waits import CLONE_IN_PROGRESS, Wait

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.kube.objects import Manifest

__all__ = ["no_room", "not_ready", "size_of", "status_of", "waits_for"]

_MISSING_SECONDS: Final = 30.0
"""An image that is missing is looked for again this often; a new claim is seen at once."""


def waits_for(reason: str, message: str, *, is_final: bool = False) -> Wait:
    """Return why a DataVolume waits: whatever it waits for is seen when it changes, but for an image's files."""
    return Wait(reason, message, retry_seconds=_MISSING_SECONDS, is_final=is_final)


def size_of(volume: Manifest) -> int | Wait:
    """Return the bytes that a DataVolume asks for, whole mebibytes, or why they cannot be read."""
    path, text = _request(volume)
    if text is None:
        return waits_for("SizeMissing", f"{path} is missing: write a size, such as 40Gi")
    try:
        amount = quantity.parse(text)
    except quantity.QuantityError as error:
        return waits_for("SizeInvalid", f"{path}: {error}")
    if amount < 1:
        return waits_for("SizeInvalid", f"{path}: {text!r} is less than a byte: write a size, such as 40Gi")
    size = math.ceil(amount)
    return size + -size % (1 << 20)


def _request(volume: Manifest) -> tuple[str, Any]:
    """Return where a DataVolume says how large its disk is, and what, None where it does not say."""
    form = "storage" if fields.mapping(volume, "spec", "storage") else "pvc"
    text = fields.mapping(volume, "spec", form, "resources", "requests").get("storage")
    return f"spec.{form}.resources.requests.storage", text


def no_room(size: int) -> Wait:
    """Say that a disk of so many bytes has no room; how much there is, and others have, administrators know."""
    remedy = "ask for less, or an administrator sets disks.overcommit in site.yaml (vs status has the figures)"
    message = f"there is no room for a disk of {in_words(size)} beside those that are there: {remedy}"
    return waits_for("InsufficientStorage", f"spec.storage.resources.requests.storage: {message}")


def not_ready(volume: Manifest) -> str:
    """Say, to whoever needs its disk, that a DataVolume is not ready yet, and why, where it says so itself."""
    ready = condition_of(volume, "Ready") or {}
    why = ready.get("message") if ready.get("status") != "True" else ""
    return f"DataVolume {'/'.join(key_of(volume))} is not ready yet{f': {why}' if why else ''}"


def status_of(
    volume: Manifest,
    wait: Wait | None,
    *,
    capacity: int | None = None,
    share: float | None = None,
    partly_applied: Sequence[Mapping[str, Any]] = (),
    now: float,
) -> dict[str, Any]:
    """Return the status; one whose disk is there says what is wrong with the size that it asks for now.

    Args:
        volume: The DataVolume.
        wait: What it waits for; None: its disk is there.
        capacity: Bytes that its disk has, also while it waits to grow; None: it was not made yet.
        share: How much of its disk is copied, 0 to 1; None: the copy has not begun, or its disk is no copy.
        partly_applied: The condition that names what of it has no effect, where there is any.
        now: Seconds since the epoch.
    """
    if wait is None:
        phase, progress = "Succeeded", "100.0%"
    elif wait.is_final:
        phase, progress = "Failed", "N/A"
    elif wait.reason == CLONE_IN_PROGRESS:
        phase, progress = wait.reason, "N/A" if share is None else f"{share:.1%}"
    else:
        phase, progress = "Pending", "N/A"
    done = "True" if wait is None else "False"
    reason, message = ("Succeeded", _remark(volume, capacity)) if wait is None else (wait.reason, wait.message)
    conditions = [
        {"type": "Bound", "status": done, "reason": "Bound" if wait is None else reason, "message": message},
        {"type": "Running", "status": "False", "reason": "Completed" if wait is None else reason, "message": ""},
        {"type": "Ready", "status": done, "reason": reason, "message": message},
        *partly_applied,
    ]
    return {
        "phase": phase,
        "progress": progress,
        # By it the definition, and the operator, know that another source has no effect any more.
        "claimName": volume["metadata"]["name"] if wait is None or capacity is not None else None,
        "conditions": with_conditions(volume, conditions, now=now),
    }


def _remark(volume: Manifest, capacity: int | None) -> str:
    """Say why a disk is larger than its DataVolume asks for now, ``""`` where it is not, or is about to grow."""
    size = size_of(volume)
    if isinstance(size, Wait):
        return f"the disk keeps its size: {size.message}"
    if capacity is None or size >= capacity:
        return ""
    path, text = _request(volume)
    return f"the disk keeps its size: {path}: {text!r} is less than the {in_words(capacity)} that it has"
