"""What `kubectl describe` of a machine or of a Service tells: Events, for each change that a status tells of.

They depend on what the status said before, not on what this process remembers, so that neither a second pass nor a
restart tells anything twice. Machines' Events are about the VirtualMachine, which outlives its VMIs. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.fabric.desired.contest import Contest
from virtualserver.fabric.desired.repair import Adjustment, Repair
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import condition_of
from virtualserver.kube.events import Event
from virtualserver.node.waits import CLONE_IN_PROGRESS, FORMER_GUEST_STOPS, SOURCE_NOT_READY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from virtualserver.api.faults import Fault
    from virtualserver.fabric.desired.state import Address
    from virtualserver.kube.objects import Manifest, Resource

__all__ = [
    "CUT_OFF",
    "NETWORK_REFUSED",
    "NO_MACHINE",
    "RULES_REFUSED",
    "STANDS_STILL",
    "event_of_data_plane",
    "event_of_occupied",
    "event_of_site",
    "events_of",
]

STANDS_STILL: Final = "GuestStandsStill"
"""Reason of a VMI's Ready: its guest runs, and for a while it cannot go on."""

CUT_OFF: Final = "GuestCutOff"
"""Reason of a VMI's Ready: its guest runs, and has no network until its next start."""

NETWORK_REFUSED: Final = "NetworkRefused"
"""Reason of a VMI's Synchronized: its guest runs, and the data plane does not carry a network card of it."""

RULES_REFUSED: Final = "RulesRefused"
"""Reason of a Service's PortsPublished: the data plane does not carry what it asks for."""

NO_MACHINE: Final = "NoMachine"
"""Reason of a Service's PortsPublished: its selector matches no machine of its namespace."""

_ORDINARY: Final = frozenset(
    {
        *(FORMER_GUEST_STOPS, "WaitingForAddress", "WaitingForSecret", "WaitingForVolumes"),
        *(CLONE_IN_PROGRESS, SOURCE_NOT_READY),
    }
)
"""Waits in the ordinary course of a start, or of a disk's making, which end by themselves."""


def event_of_data_plane(told: Repair | Contest | Adjustment) -> Event:
    """Return what is told of the Node where somebody else changed a part of the data plane, or the host did: pure."""
    if isinstance(told, Adjustment):
        return Event("Normal", "DataPlaneAdjusted", told.what)
    if isinstance(told, Contest):
        message = (
            f"{told.where}: {told.what}: something takes it away or changes it again and again, so it is put back only "
            "every few seconds; look at what runs on this machine and changes the same"
        )
        return Event("Warning", "DataPlaneContested", message)
    message = f"{told.where}: {told.what}: it was missing or changed, and was put back"
    return Event("Warning", "DataPlaneRepaired", message)


def event_of_site(file: Path, faults: Sequence[Fault]) -> Event:
    """Return what is told of the Node where the administrator's file has changed: pure.

    Args:
        file: The administrator's file.
        faults: What is wrong with it.
    """
    if not faults:
        return Event("Normal", "SiteTakenOver", f"{file} holds")
    listed = "; ".join(str(fault) for fault in faults)
    return Event("Warning", "SiteRefused", f"{file}: refused, what held before it goes on holding: {listed}")


def event_of_occupied(uplink: str, changed: Mapping[Address, str]) -> Event:
    """Return what is told of the Node where others on the uplink have addresses of a pool, or have them no more: pure.

    Args:
        uplink: The link.
        changed: Who has each address, ``""`` for nobody.
    """
    taken = [f"{address} belongs to {who}" for address, who in changed.items() if who]
    free = [str(address) for address, who in changed.items() if not who]
    told = [f"link {uplink}: {', '.join(taken)}: such an address is given to nobody here"] if taken else []
    told += [f"link {uplink}: nobody has {', '.join(free)} any more"] if free else []
    return Event("Warning" if taken else "Normal", "AddressOccupied", "; ".join(told))


def events_of(resource: Resource, before: Manifest, after: Manifest) -> list[Event]:
    """Return the Events that tell of a change of an object's status.

    Args:
        resource: The object's kind; of most there is nothing to tell.
        before: The object as it was.
        after: The object with its new status.
    """
    found = [*_of_partly_applied(before, after)]
    if resource == kinds.VIRTUAL_MACHINE_INSTANCE:
        found += _of_vmi(before, after)
    if resource == kinds.VIRTUAL_MACHINE:
        found += _of_vm(before, after)
    if resource == kinds.SERVICE:
        found += _of_service(before, after)
    if resource == kinds.DATA_VOLUME:
        found += _of_data_volume(before, after)
    return found


def _of_partly_applied(before: Manifest, after: Manifest) -> Iterator[Event]:
    told, said = (condition_of(one, names.FULLY_APPLIED) or {} for one in (after, before))
    if told and told.get("message") != said.get("message"):
        yield Event("Warning", str(told["reason"]), str(told.get("message", "")))


def _of_vmi(before: Manifest, after: Manifest) -> Iterator[Event]:
    phase = fields.status_of(after).get("phase")
    is_told_to_end = bool(after["metadata"].get("deletionTimestamp"))  # the VirtualMachine's status tells that
    if phase != fields.status_of(before).get("phase"):
        said = str((condition_of(after, "Ready") or {}).get("message") or "")
        if phase == "Running":
            yield Event("Normal", "Started", f"the guest was started{_where(after)}")
        elif phase == "Succeeded" and not is_told_to_end:
            yield Event("Normal", "Stopped", f"the guest ended by itself: {said}")
        elif phase == "Failed":
            yield Event("Warning", "Failed", f"the guest failed: {said}")
    waits = condition_of(after, "Synchronized")
    # Only the reason is compared: the message may have figures in it that change at every look.
    if waits and waits["status"] == "False" and waits["reason"] not in {*_ORDINARY, _reason(before, "Synchronized")}:
        about = "the guest runs" if waits["reason"] == NETWORK_REFUSED else "the guest cannot be started"
        yield Event("Warning", waits["reason"], f"{about}: {waits.get('message', '')}")
    reason = _reason(after, "Ready")
    if reason in (STANDS_STILL, CUT_OFF) and reason != _reason(before, "Ready"):
        yield Event("Warning", reason, str((condition_of(after, "Ready") or {}).get("message", "")))


def _where(vmi: Manifest) -> str:
    addresses = [address for one in fields.items(vmi, "status", "interfaces") for address in one.get("ipAddresses", ())]
    return f", with the address {', '.join(addresses)}" if addresses else ""


def _of_vm(before: Manifest, after: Manifest) -> Iterator[Event]:
    was, now = (fields.status_of(one).get("printableStatus") for one in (before, after))
    if was == "Stopping" != now:
        yield Event("Normal", "Stopped", "the guest was stopped")


def _of_service(before: Manifest, after: Manifest) -> Iterator[Event]:
    old, new = fields.load_balancer_addresses(before), fields.load_balancer_addresses(after)
    if new and new != old:
        yield Event("Normal", "AddressAssigned", f"the address {', '.join(new)} was assigned")
    condition = condition_of(after, names.ADDRESS_ASSIGNED)
    if condition and condition["status"] == "False" and condition["reason"] != _reason(before, names.ADDRESS_ASSIGNED):
        yield Event("Warning", condition["reason"], str(condition.get("message", "")))
    condition = condition_of(after, names.PORTS_PUBLISHED)
    if condition and condition["status"] == "False" and condition["reason"] != _reason(before, names.PORTS_PUBLISHED):
        yield Event("Warning", condition["reason"], str(condition.get("message", "")))


def _of_data_volume(before: Manifest, after: Manifest) -> Iterator[Event]:
    ready = condition_of(after, "Ready")
    # A machine that waits for it tells nothing: WaitingForVolumes is ordinary, whatever the disk itself waits for.
    if ready and ready["status"] == "False" and ready["reason"] not in {*_ORDINARY, _reason(before, "Ready")}:
        yield Event("Warning", ready["reason"], str(ready.get("message", "")))


def _reason(manifest: Manifest, type: str) -> Any:
    return (condition_of(manifest, type) or {}).get("reason")
