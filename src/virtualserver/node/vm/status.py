"""The status of a VirtualMachine, from what is known of it and its VMI: pure, in KubeVirt's words.

Source: KubeVirt 1.8, ``VirtualMachinePrintableStatus``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.kube import fields
from virtualserver.kube.conditions import condition_of, is_true, with_conditions
from virtualserver.node.objects import is_final
from virtualserver.node.waits import FORMER_GUEST_STOPS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.kube.objects import Manifest
    from virtualserver.node.vm.run_strategy import Decision
    from virtualserver.node.waits import Wait

__all__ = ["status_of"]

_OWNED: Final = ("Ready", "Failure", "RestartRequired", names.FULLY_APPLIED)
_UNSCHEDULABLE: Final = frozenset({"InsufficientMemory", "MemoryExceedsMachine", "TooManyServers"})


def status_of(
    vm: Manifest,
    vmi: Manifest | None,
    decision: Decision,
    *,
    data_volumes: Sequence[tuple[str, Manifest | None]],
    foreign: Manifest | None = None,
    refused: Wait | None = None,
    needs_restart: bool,
    partly_applied: Sequence[Mapping[str, Any]] = (),
    now: float,
) -> dict[str, Any]:
    """Return the whole status.

    Args:
        vm: The VirtualMachine.
        vmi: Its VMI, None where it has none.
        decision: What is done about it.
        data_volumes: The DataVolumes that its volumes name, with the object, None where there is none.
        foreign: A VMI of the machine's name that is not the machine's; None: there is none.
        refused: Why a DataVolume that it brings along, or its VMI, could not be made; None: nothing was refused.
        needs_restart: True where the template changed since the VMI was made.
        partly_applied: The condition that names what of it has no effect, where there is any.
        now: Seconds since the epoch.
    """
    ready = condition_of(vmi, "Ready") if vmi else None
    waits = condition_of(vmi, "Synchronized") if vmi else None
    waiting = waits if waits and waits["status"] == "False" else None
    if foreign is not None and decision.action == "start":
        waiting = _taken(foreign)
    if refused is not None:
        waiting = {"reason": refused.reason, "message": refused.message}
    return {
        "created": vmi is not None,
        "ready": bool(ready and ready["status"] == "True"),
        "printableStatus": _printable(vm, vmi, decision, data_volumes, waiting),
        "runStrategy": decision.run_strategy,
        "stateChangeRequests": [dict(request) for request in decision.requests] or None,
        "startFailure": dict(decision.failure) if decision.failure else None,
        "observedGeneration": vm["metadata"].get("generation"),
        "desiredGeneration": vm["metadata"].get("generation"),
        "conditions": with_conditions(
            vm,
            [*_conditions(ready, waiting, needs_restart=needs_restart), *partly_applied],
            now=now,
            owned=_OWNED,
        ),
    }


def _taken(foreign: Manifest) -> Mapping[str, Any]:
    """Return the condition that tells what a machine waits for whose VMI's name is taken."""
    name = foreign["metadata"]["name"]
    others = [one for one in foreign["metadata"].get("finalizers") or () if one != names.NODE_FINALIZER]
    if foreign["metadata"].get("deletionTimestamp") and not others:
        return {
            "type": "Synchronized",
            "status": "False",
            "reason": FORMER_GUEST_STOPS,
            "message": f"the guest of the former machine {name} still shuts down: this one starts when it has ended",
        }
    if not foreign["metadata"].get("deletionTimestamp"):
        told = f"was not made for this machine: kubectl delete vmi {name} -n {foreign['metadata']['namespace']}"
    else:
        told = f"is of an earlier machine and is being deleted, which these finalizers hold up: {', '.join(others)}"
    return {
        "type": "Synchronized",
        "status": "False",
        "reason": "InstanceNameTaken",
        "message": f"VirtualMachineInstance {name} {told}",
    }


def _conditions(
    ready: Mapping[str, Any] | None, waiting: Mapping[str, Any] | None, *, needs_restart: bool
) -> list[dict[str, Any]]:
    """Return the conditions, from those of the VMI: its Ready, and its Synchronized where that is False."""
    wanted: list[dict[str, Any]] = [
        {
            "type": "Ready",
            "status": ready["status"] if ready else "False",
            "reason": (ready or {}).get("reason") or ("InstanceReady" if ready else "VMINotExists"),
            "message": (ready or {}).get("message", "" if ready else "VMI does not exist"),
        }
    ]
    if waiting:
        wanted.append(
            {"type": "Failure", "status": "True", "reason": waiting["reason"], "message": waiting.get("message", "")}
        )
    if needs_restart:
        wanted.append(
            {
                "type": "RestartRequired",
                "status": "True",
                "reason": "TemplateChanged",
                "message": "a non-live-updatable field was changed in the template spec",
            }
        )
    return wanted


def _printable(
    vm: Manifest,
    vmi: Manifest | None,
    decision: Decision,
    data_volumes: Sequence[tuple[str, Manifest | None]],
    waiting: Mapping[str, Any] | None,
) -> str:
    """Return the one word; the first that fits, in KubeVirt's order."""
    if vm["metadata"].get("deletionTimestamp"):
        return "Terminating"
    phase = fields.status_of(vmi).get("phase") if vmi else None
    if vmi and vmi["metadata"].get("deletionTimestamp") and not is_final(vmi):
        return "Stopping"
    if decision.action == "stop" and not is_final(vmi):
        return "Stopping"
    if phase == "Running":
        return "Paused" if vmi and is_true(vmi, "Paused") else "Running"
    if decision.failure and (vmi is None or phase == "Failed") and _starts_again(decision):
        return "CrashLoopBackOff"
    if vmi is None:
        return "Starting" if _starts_again(decision) else "Stopped"
    if is_final(vmi):
        return "Stopped"
    return _starting(data_volumes, waiting)


def _starts_again(decision: Decision) -> bool:
    asked = any(request["action"] == "Start" for request in decision.requests)
    return asked or decision.action == "start" or decision.wait_seconds is not None


def _starting(data_volumes: Sequence[tuple[str, Manifest | None]], waiting: Mapping[str, Any] | None) -> str:
    for _, volume in data_volumes:
        if volume is None:
            return "ErrorDataVolumeNotFound"
        phase = fields.status_of(volume).get("phase")
        if phase == "Failed":
            return "DataVolumeError"
        if phase != "Succeeded":
            return "Provisioning"
    if waiting and waiting["reason"] in _UNSCHEDULABLE:
        return "ErrorUnschedulable"
    if waiting and waiting["reason"] == "ErrorPvcNotFound":
        return "ErrorPvcNotFound"
    return "Starting"
