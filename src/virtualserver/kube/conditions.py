"""Conditions in a status: found, and changed without moving the time of what did not change. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.kube import fields
from virtualserver.kube.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from virtualserver.kube.objects import Manifest

__all__ = ["condition_of", "is_true", "with_conditions"]


def condition_of(manifest: Manifest, type: str) -> Mapping[str, Any] | None:
    """Return an object's condition of a type, None where it has none."""
    for condition in fields.items(manifest, "status", "conditions"):
        if condition["type"] == type:
            return condition
    return None


def is_true(manifest: Manifest, type: str) -> bool:
    """Return whether an object's condition of a type is True."""
    condition = condition_of(manifest, type)
    return condition is not None and condition["status"] == "True"


def with_conditions(
    manifest: Manifest,
    wanted: Iterable[Mapping[str, Any]],
    *,
    now: float,
    owned: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Return the wanted conditions with their times of transition.

    Args:
        manifest: The object as it is; a condition whose status stays keeps its time.
        wanted: Conditions without times, in their order.
        now: Seconds since the epoch: the time of those that change.
        owned: The types that are ours; others come first and stay as they are. None: all are ours.
    """
    before = fields.items(manifest, "status", "conditions")
    known = {condition["type"]: condition for condition in before}
    result = [dict(one) for one in before if owned is not None and one["type"] not in owned]
    for condition in wanted:
        old = known.get(condition["type"], {})
        same = old.get("status") == condition["status"] and old.get("lastTransitionTime")
        result.append({**condition, "lastTransitionTime": old["lastTransitionTime"] if same else timestamp(now)})
    return result
