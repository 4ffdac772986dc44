"""Conditions in a status: found, and changed without moving the time of what did not change. Pure.

Tests: ``tests/unit/node/test_conditions.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from virtualserver.kube.objects import Manifest
from virtualserver.node.runstrategy import timestamp

__all__ = ["condition_of", "is_true", "with_conditions"]


def condition_of(manifest: Manifest, type: str) -> Mapping[str, Any] | None:
    """Return an object's condition of a type, None where it has none."""
    for condition in (manifest.get("status") or {}).get("conditions") or ():
        if condition["type"] == type:
            return condition
    return None


def is_true(manifest: Manifest, type: str) -> bool:
    """Return whether an object's condition of a type is True."""
    condition = condition_of(manifest, type)
    return condition is not None and condition["status"] == "True"


def with_conditions(
    before: Iterable[Mapping[str, Any]],
    wanted: Iterable[Mapping[str, Any]],
    *,
    now: float,
    keep: Iterable[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Return the wanted conditions with their times of transition.

    Args:
        before: The conditions as they are; one whose status stays keeps its time.
        wanted: Conditions without times, in their order.
        now: Seconds since the epoch: the time of those that change.
        keep: Conditions of others, which come first and stay as they are.
    """
    known = {condition["type"]: condition for condition in before}
    result = [dict(condition) for condition in keep]
    for condition in wanted:
        old = known.get(condition["type"], {})
        same = old.get("status") == condition["status"] and old.get("lastTransitionTime")
        result.append({**condition, "lastTransitionTime": old["lastTransitionTime"] if same else timestamp(now)})
    return result
