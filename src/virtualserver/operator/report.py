"""Writes the status with its times, and Events for what was done and, once, for what is waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from virtualserver.api import names
from virtualserver.api.conditions import ConditionType, in_full
from virtualserver.api.reasons import Reason
from virtualserver.kube import fields
from virtualserver.kube.conditions import condition_of, with_conditions
from virtualserver.kube.errors import NotFound
from virtualserver.kube.events import Event
from virtualserver.operator.kinds import VIRTUAL_SERVER
from virtualserver.operator.waits import Waits
from virtualserver.plan.judging.settlement import outcome_of, settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from virtualserver.api.virtualserver import Status, VirtualServer
    from virtualserver.kube.apply import Applier
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.events import Recorder
    from virtualserver.kube.objects import Key, Manifest

__all__ = ["Reporter", "events_of", "with_times"]

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
_AT_NEXT_START: Final = {Reason.RESTART_REQUIRED, Reason.ROOT_DISK_RESIZE_IN_PROGRESS}
"""Reasons of ``FullyApplied`` that wait for a restart."""


class Reporter:
    """Writes statuses of servers, and Events about them.

    Args:
        cache: Follows the servers.
        applier: Writes as the operator.
        recorder: Writes the Events.
    """

    def __init__(self, cache: Cache, applier: Applier, recorder: Recorder) -> None:
        self._cache = cache
        self._applier = applier
        self._recorder = recorder
        self._waits = Waits(cache, applier)

    async def status(self, key: Key, planned: Status) -> float | None:
        """Write a server's status, unless the server is gone, and an Event if there is something new to tell.

        Args:
            key: The server's.
            planned: The whole status, its conditions without times.

        Returns:
            Seconds after which somebody who waits for the server is to be answered, None for nobody.
        """
        live = self._cache.get(VIRTUAL_SERVER, key)
        if live is None:
            return None
        now = time.time()
        before = str(fields.status_of(live).get("settled") or "")
        settlement = settle(fields.annotations_of(live), before, outcome_of(planned), now=now)
        if settlement.text is not None:
            planned = msgspec.structs.replace(planned, settled=settlement.text)
        status = with_times(msgspec.to_builtins(planned), live, now=now)
        try:
            written = await self._applier.apply_status(VIRTUAL_SERVER, live, status)
        except NotFound:
            return None
        if written is not None:
            self._cache.remember(VIRTUAL_SERVER, written)
            for event in events_of(status, live):
                self._recorder.emit(live, event)
        if settlement.text is not None:
            await self._waits.answer(live, settlement.text)
        return settlement.again_seconds

    def done(self, server: VirtualServer, done: Mapping[str, Sequence[str]]) -> None:
        """Write an Event for each kind of thing that was done.

        Args:
            server: For which.
            done: By reason (``Created``, ``Updated``, ``Deleted``): the objects, as ``KIND NAME``.
        """
        metadata = {"name": server.name, "namespace": server.namespace, "uid": server.uid}
        about = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata}
        for reason, objects in done.items():
            self._recorder.emit(about, Event("Normal", reason, f"{reason} {', '.join(sorted(objects))}"))


def with_times(status: Manifest, live: Manifest, *, now: float) -> dict[str, Any]:
    """Return a status whose conditions have their times; conditions that others put there stay, after ours.

    Args:
        status: As planned, without times.
        live: The server as it is.
        now: Seconds since the epoch, for conditions that changed.
    """
    planned: Sequence[Mapping[str, Any]] = status["conditions"]
    ours = {condition["type"] for condition in planned}
    return {**status, "conditions": with_conditions(live, planned, now=now, owned=ours)}


def events_of(status: Manifest, live: Manifest) -> Iterator[Event]:
    """Yield the Events that tell of a change of ``Ready``, and of what waits for a restart of a server that runs.

    They depend on what the status said before, not on what this process remembers: a restart tells nothing twice.

    Args:
        status: As planned.
        live: The server with its status before.
    """
    ready, old = _both(status, live, ConditionType.READY)
    same = old.get("reason") == ready["reason"]
    is_old = same and (ready["status"] != "False" or old.get("message") == ready["message"])
    if not is_old and ready["reason"] not in _QUIET:
        kind = "Normal" if ready["reason"] in _NORMAL else "Warning"
        yield Event(kind, ready["reason"], in_full(status["conditions"]))
    applied, old = _both(status, live, ConditionType.FULLY_APPLIED)
    is_old = (old.get("reason"), old.get("message")) == (applied.get("reason"), applied.get("message"))
    if applied.get("reason") in _AT_NEXT_START and ready["status"] == "True" and not is_old:
        yield Event("Warning", applied["reason"], str(applied.get("message")))


def _both(status: Manifest, live: Manifest, type_: ConditionType) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return a condition as planned, and as it was."""
    return condition_of({"status": status}, type_) or {}, condition_of(live, type_) or {}
