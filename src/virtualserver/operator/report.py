"""Says what is so: the status with its times, and Events for what was done and, once, for what is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from virtualserver.api.conditions import EPOCH, ConditionType
from virtualserver.api.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.kube.objects import Manifest

__all__ = ["Notice", "notice", "with_times"]

_QUIET: Final = {Reason.INITIALIZING, Reason.PENDING, Reason.STARTING, Reason.STOPPING, Reason.PROVISIONING}
"""The ordinary course of things: no Event."""
_NORMAL: Final = {
    Reason.VIRTUAL_SERVER_READY,
    Reason.VIRTUAL_SERVER_STOPPED,
    Reason.TERMINATING,
    Reason.WAITING_FOR_GUEST,
    Reason.WAITING_FOR_DATA_PLANE,
    Reason.WAITING_FOR_ADDRESS,
}
"""What needs nobody to do anything."""


class Notice(NamedTuple):
    """An Event to emit."""

    type: str
    reason: str
    message: str


def with_times(status: Manifest, before: Mapping[str, Any] | None, *, now: str) -> dict[str, Any]:
    """Return a status whose conditions have the time at which their ``status`` changed last.

    Args:
        status: As planned, without times.
        before: The status as it is; None where there is none. Conditions that others put there stay, after ours.
        now: RFC 3339, for conditions that changed.
    """
    known: dict[str, Mapping[str, Any]] = {item["type"]: item for item in (before or {}).get("conditions") or ()}
    conditions: list[Mapping[str, Any]] = []
    for condition in status["conditions"]:
        old = known.pop(condition["type"], {})
        time = old.get("lastTransitionTime")
        kept = time if old.get("status") == condition["status"] and time not in (None, EPOCH) else now
        conditions.append({**condition, "lastTransitionTime": kept})
    return {**status, "conditions": [*conditions, *known.values()]}


def notice(status: Manifest, before: Mapping[str, Any] | None) -> Notice | None:
    """Return the Event that tells of a change of ``Ready``, None where nothing new is to be told.

    It depends on what the status said before, not on what this process remembers: a restart tells nothing twice.
    """
    ready = _ready(status["conditions"])
    old = _ready((before or {}).get("conditions") or ())
    same = old.get("reason") == ready["reason"]
    if same and (ready["status"] != "False" or old.get("message") == ready["message"]):
        return None
    if ready["reason"] in _QUIET:
        return None
    return Notice("Normal" if ready["reason"] in _NORMAL else "Warning", ready["reason"], ready["message"])


def _ready(conditions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    nothing: Mapping[str, Any] = {}
    return next((item for item in conditions if item["type"] == ConditionType.READY), nothing)
