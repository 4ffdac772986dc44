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
_PAUSE_SECONDS: Final = 0.2
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
        self._last: dict[Key, tuple[str, float]] = {}
        # By server, with its UID: what was done for it since the last Events of that.
        self._done: dict[Key, tuple[str, dict[str, list[str]]]] = {}

    async def status(self, key: Key, planned: Status) -> float | None:
        """Write a server's status, unless the server is gone, and an Event if there is something new to tell.

        What nobody waits for is not written twice within `_PAUSE_SECONDS`: disk and machine of a new server report
        several times in a moment.

        Args:
            key: The server's.
            planned: The whole status, its conditions without times.

        Returns:
            Seconds after which to call again, since somebody who waits for the server is to be answered then, or since
            it is too soon to write; None for not until something changes.
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
        pause = self._pause(key, live)
        if pause > 0 and not is_awaited(status, live):
            return pause
        await self._write(key, live, status)
        if settlement.text is not None:
            await self._waits.answer(live, settlement.text)
        return settlement.again_seconds

    async def address(self, key: Key, planned: Status) -> bool:
        """Write a server's status if it tells an address that no status has told, and return whether it was written.

        Args:
            key: The server's, which has no machine yet: nobody's wait is over by its status.
            planned: As for `status`.
        """
        live = self._cache.get(VIRTUAL_SERVER, key)
        if live is None:
            return False
        before, told = fields.status_of(live), msgspec.to_builtins(planned)
        if _addresses(told) == _addresses(before):
            return False
        if "settled" in before:
            told["settled"] = before["settled"]
        return await self._write(key, live, with_times(told, live, now=time.time()))

    async def _write(self, key: Key, live: Manifest, status: Manifest) -> bool:
        """Write a status and the Events of it, and return whether anything was to be written."""
        try:
            written = await self._applier.apply_status(VIRTUAL_SERVER, live, status)
        except NotFound:
            return False
        if written is None:
            return False
        self._last[key] = live["metadata"]["uid"], time.monotonic()
        self._cache.remember(VIRTUAL_SERVER, written)
        for event in events_of(status, live):
            self._recorder.emit(live, event)
        return True

    def _pause(self, key: Key, live: Manifest) -> float:
        """Return the seconds for which it is too soon for a status: after the last one, or our first sight of it."""
        now, uid = time.monotonic(), live["metadata"]["uid"]
        last = self._last.get(key)
        if last is None or last[0] != uid:
            last = self._last[key] = uid, now
        return last[1] + _PAUSE_SECONDS - now

    def forget(self, key: Key) -> None:
        """Forget a server that is gone."""
        self._last.pop(key, None)
        self._done.pop(key, None)

    def done(self, server: VirtualServer, done: Mapping[str, Sequence[str]], *, goes_on: bool) -> None:
        """Write an Event for each kind of thing that was done.

        Args:
            server: For which.
            done: By reason (``Created``, ``Updated``, ``Deleted``): the objects, as ``KIND NAME``.
            goes_on: More of it comes in a moment: one Event will tell of all.
        """
        key = server.namespace, server.name
        uid, every = self._done.pop(key, (server.uid, {}))
        if uid != server.uid:
            every = {}
        for reason, objects in done.items():
            every.setdefault(reason, []).extend(objects)
        if goes_on:
            self._done[key] = server.uid, every
            return
        metadata = {"name": server.name, "namespace": server.namespace, "uid": server.uid}
        about = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata}
        for reason, objects in every.items():
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


def is_awaited(status: Manifest, live: Manifest) -> bool:
    """Return whether a status has news that somebody may be waiting for: of addresses, of Ready, or an answer.

    Args:
        status: As planned.
        live: The server with its status before.
    """
    old_status = fields.status_of(live)
    if status.get("settled") != old_status.get("settled") or _addresses(status) != _addresses(old_status):
        return True
    ready, old = _both(status, live, ConditionType.READY)
    # A new server has none, or the schema's default, and nobody waits for the first ordinary word of it.
    is_new = old.get("reason") in (None, Reason.INITIALIZING)
    is_ordinary = ready["reason"] in _QUIET or (is_new and ready["reason"] in _NORMAL and ready["status"] != "True")
    return not is_ordinary and (ready["status"], ready["reason"]) != (old.get("status"), old.get("reason"))


def _addresses(status: Manifest) -> list[Any]:
    """Return the addresses that a status tells, None for each that it has not."""
    network = fields.mapping(status, "network")
    return [network.get(name) or None for name in ("externalIP", "internalIP", "floatingIPs")]


def events_of(status: Manifest, live: Manifest) -> Iterator[Event]:
    """Yield the Events that tell of a change of ``Ready``, and of what waits for a restart of a server that runs.

    They depend on what the status said before, not on what this process remembers: a restart tells nothing twice.

    Args:
        status: As planned.
        live: The server with its status before.
    """
    ready, old = _both(status, live, ConditionType.READY)
    same = old.get("reason") == ready["reason"]
    # What is still being made for a server that is stopped changes its message, and nobody waits for that.
    is_one_thing = ready["status"] != "False" or ready["reason"] == Reason.VIRTUAL_SERVER_STOPPED
    is_old = same and (is_one_thing or old.get("message") == ready["message"])
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
