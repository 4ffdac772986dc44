"""How the apply of a manifest ended, in one word for whoever waits: pure.

A client marks a manifest with a key (`names.REVISION`) and says how long it waits (`names.SETTLE_WITHIN`).
``status.settled`` is then ``KEY Pending SINCE``, and becomes ``KEY Ready``, ``KEY Stopped``, ``KEY Refused`` or, when
the time is over, ``KEY Waiting``: an answer to an earlier manifest has another key. What was refused, or waited, is
told anew once it is Ready or Stopped after all; these two stand until the next key, since they end an apply, and the
conditions go on telling what became of the server.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from virtualserver.api import names
from virtualserver.api.conditions import ConditionType
from virtualserver.api.reasons import Reason
from virtualserver.kube.times import seconds_of, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.api.conditions import Condition
    from virtualserver.api.virtualserver import Status

__all__ = ["REFUSED", "Outcome", "Settlement", "outcome_of", "settle"]


class Outcome(enum.StrEnum):
    """How an apply ended."""

    READY = "Ready"
    STOPPED = "Stopped"
    REFUSED = "Refused"
    WAITING = "Waiting"


REFUSED: Final = frozenset(
    {
        Reason.NOT_SUPPORTED_YET,
        Reason.INVALID_SPEC,
        Reason.INVALID_CLOUD_INIT,
        Reason.VIRTUAL_MACHINE_NAME_TAKEN,
        Reason.SERVICE_NAME_TAKEN,
        Reason.SECRET_NAME_TAKEN,
        Reason.DATA_VOLUME_NAME_TAKEN,
        Reason.MAC_ADDRESS_TAKEN,
        Reason.POOL_UNKNOWN,
        Reason.ADDRESS_NOT_IN_POOL,
        Reason.ADDRESS_IN_USE,
        Reason.ADDRESS_QUOTA_EXCEEDED,
        Reason.PORT_IN_USE,
        Reason.HOST_ADDRESS,
        Reason.FLOATING_SERVICE_CLAIMED,
        Reason.FLOATING_SERVICE_UNFIT,
        Reason.NETWORK_NOT_SUPPORTED,
        Reason.IMAGE_NOT_FOUND,
        Reason.MEMORY_EXCEEDS_MACHINE,
        Reason.DISK_REFUSED,
        Reason.ERROR,
    }
)
"""Reasons of a ``Ready`` that is False and that only a change by somebody mends. ``Error`` is the API server's refusal
of an object (a quota); a fault of ours has the status Unknown."""

_GRACE_SECONDS: Final = 5.0
"""A refusal must stand for so long after the key was seen: what another apply is about to free is none."""
_LONGEST_SECONDS: Final = 24 * 3600.0
_USUAL_SECONDS: Final = 600.0
_UNITS: Final = {"h": 3600, "m": 60, "s": 1}


class Settlement(NamedTuple):
    """What ``status.settled`` says, and when to look again where nothing else changes.

    Attributes:
        text: The field; None: nobody waits for it.
        again_seconds: None: not until something changes.
    """

    text: str | None
    again_seconds: float | None = None


def outcome_of(status: Status) -> Outcome | None:
    """Return how a status ends an apply, None while more happens by itself."""
    ready = status.condition(ConditionType.READY)
    if ready is None or ready.status == "Unknown":
        return None
    if ready.status == "True":
        return Outcome.READY
    return _of_not_ready(ready)


def _of_not_ready(ready: Condition) -> Outcome | None:
    if ready.reason == Reason.VIRTUAL_SERVER_STOPPED:
        return Outcome.STOPPED
    if ready.reason == Reason.RESTART_REQUIRED:
        # The guest runs and is left alone: it waits for somebody, however long.
        return Outcome.WAITING
    return Outcome.REFUSED if ready.reason in REFUSED else None


def settle(annotations: Mapping[str, str], before: str, outcome: Outcome | None, *, now: float) -> Settlement:
    """Return what ``status.settled`` says now.

    Args:
        annotations: Of the server.
        before: What the field said, ``""`` for nothing.
        outcome: How the present status ends an apply.
        now: Seconds since the epoch.
    """
    key, within = annotations.get(names.REVISION), annotations.get(names.SETTLE_WITHIN)
    if not key or within is None:
        return Settlement(None)
    said, since = _read(before, key, now)
    if said in (Outcome.READY, Outcome.STOPPED):
        return Settlement(before)
    age = now - since
    if outcome is Outcome.REFUSED and said == "" and age < _GRACE_SECONDS:
        return Settlement(_pending(key, since), _GRACE_SECONDS - age)
    if outcome is not None:
        return Settlement(f"{key} {outcome}")
    if said != "":
        return Settlement(before)
    left = _seconds(within) - age
    return Settlement(f"{key} {Outcome.WAITING}") if left <= 0 else Settlement(_pending(key, since), left)


def _pending(key: str, since: float) -> str:
    return f"{key} Pending {timestamp(since)}"


def _read(before: str, key: str, now: float) -> tuple[Outcome | str, float]:
    """Return the answer that the field gives for a key, ``""`` for none yet, and since when the key is known."""
    word, _, rest = before.removeprefix(f"{key} ").partition(" ") if before.startswith(f"{key} ") else ("", "", "")
    if word in Outcome.__members__.values():
        return Outcome(word), now
    try:
        # A clock that was set back makes nobody wait for longer.
        return "", min(now, seconds_of(rest)) if word == "Pending" else now
    except ValueError:
        return "", now


def _seconds(text: str) -> float:
    """Return the seconds of a duration such as ``1h30m``; what is none counts as ten minutes, a day is the longest."""
    parts = re.findall(r"(\d{1,9})([hms])", text, re.ASCII)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text:
        return _USUAL_SECONDS
    return min(_LONGEST_SECONDS, float(sum(int(number) * _UNITS[unit] for number, unit in parts)))
