"""Whether a VirtualMachine should have a VMI now: KubeVirt's run strategies, pure.

Source: KubeVirt user guide, "Run strategies"; virt-controller 1.8, ``syncRunStrategy``. One difference: a VMI
that fails within `SETTLED_SECONDS` of running counts as a failed start too, so that a machine that crashes at once is
not started in a tight loop.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from virtualserver.kube import fields
from virtualserver.kube.times import seconds_of, timestamp
from virtualserver.node.objects import is_final

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest

__all__ = [
    "SETTLED_SECONDS",
    "Decision",
    "decide",
    "start_request",
    "starts_paused",
    "stop_request",
    "strategy_of",
]

SETTLED_SECONDS: Final = 60.0
"""A VMI that ran for this long did start; its later failure is restarted at once."""

_FIRST_DELAY_SECONDS: Final = 10.0
_LONGEST_DELAY_SECONDS: Final = 300.0

Request = Mapping[str, Any]
"""One entry of ``status.stateChangeRequests``."""


def start_request(*, paused: bool = False) -> Request:
    """Return the request to start; `paused`: with a guest that stands still at first."""
    return {"action": "Start", "data": {"paused": "true"}} if paused else {"action": "Start"}


def starts_paused(vm: Manifest) -> bool:
    """Return whether the next VMI of a machine is to stand still at first, because somebody asked for that start."""
    pending = fields.items(vm, "status", "stateChangeRequests")
    asked = (one for one in pending if one["action"] == "Start")
    return any(fields.mapping(one, "data").get("paused") == "true" for one in asked)


def stop_request(uid: str) -> Request:
    """Return the request to stop the VMI with this UID."""
    return {"action": "Stop", "uid": uid}


def strategy_of(vm: Manifest) -> str:
    """Return the run strategy; the old field ``running`` counts where it is used instead.

    New machines cannot have both (the CRD says so); of one that has, `FullyApplied` names the old field.
    """
    spec = vm["spec"]
    if strategy := spec.get("runStrategy"):
        return strategy
    return "Always" if spec.get("running") else "Halted"


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a VirtualMachine, and what its status says afterwards.

    Attributes:
        action: ``start`` makes the VMI, ``stop`` deletes it, ``always`` sets ``spec.runStrategy`` to Always.
        requests: ``status.stateChangeRequests``.
        failure: ``status.startFailure``; None: none.
        run_strategy: ``status.runStrategy``: the strategy that was carried out last.
        wait_seconds: Look again after this time; None: when something changes.
    """

    action: Literal["nothing", "start", "stop", "always"]
    requests: tuple[Request, ...]
    failure: Mapping[str, Any] | None
    run_strategy: str | None
    wait_seconds: float | None = None


def _remaining(requests: Sequence[Request], vmi: Manifest | None) -> tuple[Request, ...]:
    """Leave out the first request where it is done."""
    if not requests:
        return ()
    first = requests[0]
    is_done = vmi is not None
    if first["action"] == "Stop":
        is_done = vmi is None or first.get("uid") != vmi["metadata"]["uid"]
    return tuple(requests[1:] if is_done else requests)


def _ran_since(vmi: Manifest) -> float | None:
    for entry in fields.status_of(vmi).get("phaseTransitionTimestamps", ()):
        if entry["phase"] == "Running":
            return seconds_of(entry["phaseTransitionTimestamp"])
    return None


def _failure(before: Mapping[str, Any] | None, vmi: Manifest | None, now: float) -> Mapping[str, Any] | None:
    """Count the VMIs in a row that failed before they settled."""
    if vmi is None:
        return before
    phase, running = fields.status_of(vmi).get("phase"), _ran_since(vmi)
    if phase == "Running":
        return None if running is not None and now - running >= SETTLED_SECONDS else before
    if phase == "Succeeded":
        return None
    if phase != "Failed":
        return before
    uid = vmi["metadata"]["uid"]
    if before and before.get("lastFailedVMIUID") == uid:
        return before
    ended = now
    for entry in vmi["status"].get("phaseTransitionTimestamps", ()):
        if entry["phase"] == "Failed":
            ended = seconds_of(entry["phaseTransitionTimestamp"])
    if running is not None and ended - running >= SETTLED_SECONDS:
        return None
    count = (before or {}).get("consecutiveFailCount", 0) + 1
    delay = min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * count * count)
    return {
        "consecutiveFailCount": count,
        "lastFailedVMIUID": uid,
        "retryAfterTimestamp": timestamp(ended + delay),
    }


def decide(vm: Manifest, vmi: Manifest | None, *, now: float) -> Decision:
    """Return what to do.

    Args:
        vm: The VirtualMachine.
        vmi: Its VMI, None where it has none.
        now: Seconds since the epoch.
    """
    status = fields.status_of(vm)
    strategy = strategy_of(vm)
    requests = _remaining(fields.items(status, "stateChangeRequests"), vmi)
    first = requests[0]["action"] if requests else None
    nothing = Decision(
        action="nothing",
        requests=requests,
        failure=_failure(status.get("startFailure"), vmi, now),
        run_strategy=strategy,
    )
    if vmi is not None:
        if vmi["metadata"].get("deletionTimestamp"):
            return nothing
        return _with_vmi(nothing, vmi, strategy=strategy, is_told_to_stop=first == "Stop")
    if vm["metadata"].get("deletionTimestamp"):
        return nothing
    if strategy == "Halted":
        return dataclasses.replace(nothing, action="always") if first == "Start" else nothing
    wanted = first == "Start" or strategy in ("Always", "Once")
    if strategy == "RerunOnFailure":
        # A machine that comes from another strategy, or is new, starts; one that was stopped stays so.
        wanted = wanted or status.get("runStrategy") != strategy
    if not wanted:
        return nothing
    failure = nothing.failure
    wait = seconds_of(failure["retryAfterTimestamp"]) - now if failure and failure.get("retryAfterTimestamp") else 0.0
    if wait > 0 and strategy != "Manual":
        return dataclasses.replace(nothing, run_strategy=status.get("runStrategy"), wait_seconds=wait)
    return dataclasses.replace(nothing, action="start")


def _with_vmi(nothing: Decision, vmi: Manifest, *, strategy: str, is_told_to_stop: bool) -> Decision:
    """Decide for a machine whose VMI exists and is not being deleted."""
    stop = dataclasses.replace(nothing, action="stop")
    phase = fields.status_of(vmi).get("phase")
    if strategy == "Halted" or is_told_to_stop:
        return stop
    if strategy in ("Manual", "Once"):  # whose VMI stays when its guest has ended
        return nothing
    if strategy == "RerunOnFailure" and phase == "Failed":
        # Both requests are on record before the failed VMI goes, so that a crash of ours forgets neither.
        uid = vmi["metadata"]["uid"]
        return dataclasses.replace(stop, requests=(stop_request(uid), start_request()))
    return stop if is_final(vmi) else nothing
