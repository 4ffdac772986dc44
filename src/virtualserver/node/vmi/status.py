"""The status of a VMI, from what is known of its guest: pure, in KubeVirt's words.

Source: KubeVirt API v1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names
from virtualserver.kube import fields
from virtualserver.kube.conditions import with_conditions
from virtualserver.machines.ends import Ended, MachineState, Running
from virtualserver.node.events import CUT_OFF, NETWORK_REFUSED, STANDS_STILL
from virtualserver.node.objects import is_final
from virtualserver.node.vmi import lifecycle
from virtualserver.node.vmi.probes import Health

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.fabric.desired.state import Link
    from virtualserver.kube.objects import Manifest
    from virtualserver.node.waits import Wait

__all__ = [
    "after_end",
    "before_restart",
    "bounded",
    "link_conditions",
    "network_differs",
    "paused",
    "ready",
    "refused",
    "released",
    "resolver_cut",
    "running",
    "waiting",
]


def waiting(vmi: Manifest, wait: Wait, *, now: float) -> dict[str, Any]:
    """Return the status fields of a VMI whose guest cannot be started yet.

    Args:
        vmi: The VMI.
        wait: Why.
        now: Seconds since the epoch, here and below.
    """
    conditions = [
        _not_ready("GuestNotRunning", "the guest has not been started yet"),
        {"type": "Synchronized", "status": "False", "reason": wait.reason, "message": wait.message},
    ]
    return {
        **lifecycle.phase_change(vmi, "Pending", now=now),
        "conditions": with_conditions(vmi, conditions, now=now),
    }


def before_restart(vmi: Manifest, *, now: float) -> dict[str, Any]:
    """Return the status fields of a VMI whose guest went down with the host and is about to run again."""
    conditions = [_not_ready("GuestNotRunning", "the guest is being started again")]
    return {
        **lifecycle.phase_change(vmi, "Scheduled", now=now),
        "interfaces": None,
        "conditions": with_conditions(vmi, conditions, now=now),
    }


def running(vmi: Manifest, links: Mapping[str, Link], *, node: str, now: float) -> dict[str, Any]:
    """Return the status fields of a VMI whose guest runs, conditions aside.

    Args:
        vmi: The VMI.
        links: Its links by the NIC's name, in the guest's order.
        node: The name of the Node that it runs on.
        now: Seconds since the epoch.
    """
    interfaces: list[dict[str, Any]] = []
    for nic, link in links.items():
        addresses = [str(address) for address in link.addresses]
        known = {"ipAddress": addresses[0], "ipAddresses": addresses} if addresses else {}
        interfaces.append({"name": nic, "mac": link.mac, **known})
    return {**lifecycle.phase_change(vmi, "Running", now=now), "nodeName": node, "interfaces": interfaces}


def after_end(vmi: Manifest, ended: Ended, *, now: float) -> dict[str, Any]:
    """Return the status fields of a VMI whose guest ended by itself."""
    return {
        **lifecycle.phase_change(vmi, lifecycle.final_phase(ended), now=now),
        "interfaces": None,
        "conditions": with_conditions(vmi, [_not_ready("GuestNotRunning", ended.message)], now=now),
        "reason": str(ended.reason),
    }


def released(vmi: Manifest, *, now: float) -> dict[str, Any]:
    """Return the status fields of a VMI that is being deleted and has nothing on this host any more.

    Other objects' controllers may keep it for long: it must not show as its own what is somebody else's by then.
    """
    has_run = fields.status_of(vmi).get("phase") not in (None, "", "Pending")
    is_over = lifecycle.phase_change(vmi, "Succeeded", now=now) if has_run and not is_final(vmi) else {}
    told = "the guest has ended; the instance is being deleted, and waits for finalizers that are not the node's"
    return {
        **is_over,
        "interfaces": None,
        "conditions": with_conditions(vmi, [_not_ready("GuestNotRunning", told)], now=now),
    }


def ready(health: Health, state: MachineState, answer: str, *, cut_off: str = "") -> dict[str, Any]:
    """Return the condition Ready of a VMI whose machine runs.

    Args:
        health: What its probes say.
        state: What its machine does.
        answer: What came of the last readiness probe that failed; empty where none was made.
        cut_off: Why it has no network until its next start; empty where it has.
    """
    if isinstance(state, Running) and state.is_paused:
        return _not_ready("Paused", "the guest is paused")
    if isinstance(state, Running) and state.message:
        return _not_ready(STANDS_STILL, state.message)
    if cut_off:
        message = f"somebody deleted the guest's tap, and it has no network until it is restarted: {cut_off}"
        return _not_ready(CUT_OFF, message)
    if health is Health.READY:
        return {"type": "Ready", "status": "True", "reason": "GuestRunning", "message": ""}
    told = f"does not succeed: {answer}" if answer else "has not been answered yet"
    return _not_ready("ReadinessProbeFailing", f"the readiness probe {told}")


def link_conditions(*, has_taken: bool, waits_for: str) -> list[dict[str, Any]]:
    """Return the conditions of a VMI that has a cluster NIC.

    Args:
        has_taken: Whether the guest took its address since this start.
        waits_for: What of a Service that concerns it is not in the data plane; empty where all is.
    """
    return [
        _condition(names.ADDRESS_TAKEN, has_taken, "Leased", "the guest has not asked for its address yet"),
        _condition(names.DATA_PLANE_READY, not waits_for, "InPlace", waits_for),
    ]


def refused(message: str) -> dict[str, Any]:
    """Return the condition of a VMI whose guest runs, and of which the data plane does not carry a network card."""
    return {"type": "Synchronized", "status": "False", "reason": NETWORK_REFUSED, "message": message}


def paused() -> dict[str, Any]:
    """Return the condition of a VMI that a user has paused."""
    return {"type": "Paused", "status": "True", "reason": "PausedByUser", "message": "VMI was paused by user"}


def bounded() -> dict[str, Any]:
    """Return the condition of a VMI whose guest met the bound of its flows within the last minute."""
    message = "the guest has as many open flows as it may have, or opens them as fast as it may: new ones are dropped"
    return {"type": names.FLOWS_BOUNDED, "status": "True", "reason": "TooManyFlows", "message": message}


def network_differs(message: str) -> dict[str, Any]:
    """Return the condition of a VMI that is on a VPC whose definition is not the one that it was started with."""
    return {"type": names.NETWORK_DIFFERS, "status": "True", "reason": "DefinitionChanged", "message": message}


def resolver_cut(message: str) -> dict[str, Any]:
    """Return the condition of a VMI whose guest is not told its whole resolver."""
    return {"type": names.RESOLVER_CUT, "status": "True", "reason": "NoRoomInDHCP", "message": message}


def _condition(type: str, is_so: bool, reason: str, otherwise: str) -> dict[str, Any]:
    if is_so:
        return {"type": type, "status": "True", "reason": reason, "message": ""}
    return {"type": type, "status": "False", "reason": f"Not{reason}", "message": otherwise}


def _not_ready(reason: str, message: str) -> dict[str, Any]:
    return {"type": "Ready", "status": "False", "reason": reason, "message": message}
