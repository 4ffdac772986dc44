"""What start, stop and restart change in a VirtualMachine, and when they are refused: pure, in KubeVirt's words.

Source: virt-api 1.8's handlers of these subresources. Two differences, both so that a client that repeats its wish
ends well: what is on its way already is accepted again, and a stop takes a start back that is still to come.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from virtualserver.kube import fields
from virtualserver.node.objects import is_final
from virtualserver.node.vm.run_strategy import start_request, stop_request, strategy_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.kube.objects import Manifest

__all__ = ["Rejection", "StateChange", "restart", "start", "stop"]


@dataclasses.dataclass(frozen=True, slots=True)
class Rejection:
    """Why a request is answered with 409 Conflict."""

    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class StateChange:
    """What is written; nothing where all fields are None.

    Attributes:
        run_strategy: The machine's new ``spec.runStrategy``.
        requests: Its new ``status.stateChangeRequests``.
        grace_seconds: The VMI's new ``spec.terminationGracePeriodSeconds``.
    """

    run_strategy: str | None = None
    requests: Sequence[Mapping[str, Any]] | None = None
    grace_seconds: int | None = None


def _pending(vm: Manifest) -> list[Mapping[str, Any]]:
    return list(fields.items(vm, "status", "stateChangeRequests"))


def _is_live(vmi: Manifest | None) -> bool:
    return vmi is not None and not is_final(vmi)


def start(vm: Manifest, vmi: Manifest | None, *, paused: bool = False) -> StateChange | Rejection:
    """Return what a start changes.

    Args:
        vm: The machine.
        vmi: Its VMI, None where it has none.
        paused: True where the guest is to stand still at first.
    """
    strategy, pending = strategy_of(vm), _pending(vm)
    is_ending = vmi is not None and bool(vmi["metadata"].get("deletionTimestamp"))
    is_ending = is_ending or any(request["action"] == "Stop" for request in pending)
    if vmi is not None and _is_live(vmi) and not is_ending:
        if strategy != "Halted" and fields.status_of(vmi).get("phase") == "Running":
            return Rejection("VM is already running")
        if strategy != "Halted":
            return StateChange()
    if strategy == "Halted" and paused:
        return StateChange(requests=[*pending, start_request(paused=True)])
    if strategy == "Halted":
        return StateChange(run_strategy="Always")
    if strategy in ("Always", "Once") or any(request["action"] == "Start" for request in pending):
        return StateChange()
    if pending:
        return StateChange(requests=[*pending, start_request(paused=paused)])
    if vmi is not None:
        return StateChange(requests=[stop_request(vmi["metadata"]["uid"]), start_request(paused=paused)])
    return StateChange(requests=[start_request(paused=paused)])


def stop(vm: Manifest, vmi: Manifest | None, *, grace_seconds: int | None = None) -> StateChange | Rejection:
    """Return what a stop changes.

    Args:
        vm: The machine.
        vmi: Its VMI, None where it has none.
        grace_seconds: How long the guest gets; None: what its VMI says.
    """
    strategy, pending = strategy_of(vm), _pending(vm)
    grace = grace_seconds if _is_live(vmi) else None
    if strategy in ("Always", "Once"):
        return StateChange(run_strategy="Halted", requests=[] if pending else None, grace_seconds=grace)
    if vmi is None or not _is_live(vmi):
        if any(request["action"] == "Start" for request in pending):
            return StateChange(requests=[])
        if vmi is not None and vmi["metadata"].get("deletionTimestamp"):
            return StateChange()
        return Rejection("VM is not running")
    if strategy == "Halted":
        return StateChange(grace_seconds=grace)
    wanted = [stop_request(vmi["metadata"]["uid"])]
    return StateChange(requests=None if pending == wanted else wanted, grace_seconds=grace)


def restart(vm: Manifest, vmi: Manifest | None, *, grace_seconds: int | None = None) -> StateChange | Rejection:
    """Return what a restart changes; arguments as for `stop`."""
    strategy = strategy_of(vm)
    if strategy in ("Halted", "Once"):
        return Rejection(f"{strategy} does not support manual restart requests")
    if vmi is None or not _is_live(vmi):
        return Rejection("VM is not running")
    return StateChange(requests=[stop_request(vmi["metadata"]["uid"]), start_request()], grace_seconds=grace_seconds)
