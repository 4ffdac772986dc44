"""Conditions in a status: found, and changed without moving the time of what did not change. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.host.visible import visible
from virtualserver.kube import fields
from virtualserver.kube.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from virtualserver.kube.objects import Manifest

__all__ = ["MESSAGE_LENGTH", "condition_of", "is_true", "sound", "with_conditions"]

MESSAGE_LENGTH: Final = 4096
"""Characters of a message."""

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


def sound(message: str) -> str:
    """Return a message, which may quote what anybody wrote, as it may stand in a condition or an Event.

    It does nothing to a terminal, and it is no longer than a person reads: a status of several such messages is
    stored still.
    """
    shown = visible(message, keep="\n")
    return shown if len(shown) <= MESSAGE_LENGTH else f"{shown[:MESSAGE_LENGTH]}..."


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
        told = {"message": sound(condition["message"])} if condition.get("message") else {}
        result.append({**condition, **told, "lastTransitionTime": time if is_kept else timestamp(now)})
    others = () if owned is None else (one for type, one in before.items() if type not in owned)
    return [*result, *others]
