"""Conditions in a status: found, and changed without moving the time of what did not change. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.kube import fields
from virtualserver.kube.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from virtualserver.kube.objects import Manifest

__all__ = ["condition_of", "is_true", "with_conditions"]

_EPOCH: Final = timestamp(0)
"""Counts as no time: a schema's default, which the API server gives to a new object, is a constant."""


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
) -> list[Mapping[str, Any]]:
    """Return the conditions of a status: those wanted, with the times at which their ``status`` changed last.

    Args:
        manifest: The object as it is; a condition whose status stays keeps its time.
        wanted: Conditions without times, in their order.
        now: Seconds since the epoch: the time of those that change.
        owned: The types that are ours; conditions of other types stay as they are, after ours. None: all are ours.
    """
    before = {condition["type"]: condition for condition in fields.items(manifest, "status", "conditions")}
    result: list[Mapping[str, Any]] = []
    for condition in wanted:
        old = before.get(condition["type"], {})
        time = old.get("lastTransitionTime")
        is_kept = old.get("status") == condition["status"] and time and time != _EPOCH
        result.append({**condition, "lastTransitionTime": time if is_kept else timestamp(now)})
    others = () if owned is None else (one for type, one in before.items() if type not in owned)
    return [*result, *others]
