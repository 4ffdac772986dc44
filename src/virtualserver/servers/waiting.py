"""When a start has succeeded or failed, and when a stop is over: pure."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from virtualserver.api.conditions import ConditionType, in_full
from virtualserver.api.reasons import Reason
from virtualserver.kube import fields
from virtualserver.kube.conditions import condition_of
from virtualserver.plan.judging.settlement import REFUSED

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest

__all__ = ["Seen", "has_stopped", "seen", "told", "tries_seconds"]

_AT_ONCE: Final = 0.0
_SETTLED_SECONDS: Final = 5.0
"""So long a server must go on saying something before it counts: what it said of the run before is told anew."""
_STOPPED_SECONDS: Final = 10.0
"""A server that is about to start says for a moment that it is stopped."""


class Seen(enum.Enum):
    """What a look at a server that is to run shows."""

    RUNNING = enum.auto()
    SAYS_SO = enum.auto()
    REFUSED = enum.auto()
    STOPPED = enum.auto()
    UNDER_WAY = enum.auto()


_SECONDS: Final = {
    Seen.RUNNING: _AT_ONCE,
    Seen.SAYS_SO: _SETTLED_SECONDS,
    Seen.REFUSED: _SETTLED_SECONDS,
    Seen.STOPPED: _STOPPED_SECONDS,
}


def tries_seconds(what: Seen) -> float | None:
    """Return after how many seconds of the same sight a wait ends, None for never."""
    return _SECONDS.get(what)


def seen(server: Manifest, instance: Manifest | None, *, other_than: str) -> Seen:
    """Return what a look at a server shows.

    Args:
        server: The VirtualServer.
        instance: Its VirtualMachineInstance, None where there is none.
        other_than: The UID of the instance that is to go, ``""`` where none is.
    """
    ready = condition_of(server, ConditionType.READY) or {}
    if ready.get("status") == "True" or ready.get("reason") == Reason.RESTART_REQUIRED:
        if instance is None or instance["metadata"]["uid"] == other_than:
            return Seen.UNDER_WAY
        # RFC 3339 in UTC sorts by time. Who was Ready before may still say so of the run that has ended.
        is_new = str(ready.get("lastTransitionTime") or "") >= str(instance["metadata"]["creationTimestamp"])
        return Seen.RUNNING if is_new else Seen.SAYS_SO
    if ready.get("status") != "False":
        return Seen.UNDER_WAY
    reason = str(ready.get("reason"))
    if reason == Reason.VIRTUAL_SERVER_STOPPED:
        return Seen.STOPPED
    return Seen.REFUSED if reason in REFUSED or reason == Reason.FAILED else Seen.UNDER_WAY


def has_stopped(machine: Manifest, instance: Manifest | None) -> bool:
    """Return whether a machine is stopped and nothing of its last run goes on."""
    if fields.status_of(machine).get("printableStatus") != "Stopped":
        return False
    return instance is None or fields.status_of(instance).get("phase") in ("Succeeded", "Failed")


def told(server: Manifest) -> str:
    """Return what a server says of itself, in one line."""
    ready = condition_of(server, ConditionType.READY) or {}
    at_length = in_full(fields.items(server, "status", "conditions"))
    return at_length or str(ready.get("reason") or "nothing has been done for it yet")
