"""What `kubectl describe` of a machine or of a Service tells: Events, for each change that a status tells of.

They depend on what the status said before, not on what this process remembers, so that neither a second pass nor a
restart tells anything twice. Machines' Events are about the VirtualMachine, which outlives its instances. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import condition_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtualserver.kube.objects import Manifest, Resource

__all__ = ["STANDS_STILL", "Notice", "notices"]

STANDS_STILL: Final = "GuestStandsStill"
"""Reason of an instance's Ready: its guest runs, and for a while it cannot go on."""

_ORDINARY: Final = frozenset({"WaitingForAddress", "WaitingForSecret", "WaitingForVolumes"})
"""Waits in the ordinary course of a start, which end by themselves."""


class Notice(NamedTuple):
    """An Event to emit."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def notices(resource: Resource, before: Manifest, after: Manifest) -> list[Notice]:
    """Return the Events that tell of a change of an object's status.

    Args:
        resource: The object's kind; of most there is nothing to tell.
        before: The object as it was.
        after: The object with its new status.
    """
    if resource == kinds.VIRTUAL_MACHINE_INSTANCE:
        return [*_of_instance(before, after)]
    if resource == kinds.VIRTUAL_MACHINE:
        return [*_of_machine(before, after)]
    if resource == kinds.SERVICE:
        return [*_of_service(before, after)]
    return []


def _of_instance(before: Manifest, after: Manifest) -> Iterator[Notice]:
    phase = fields.status_of(after).get("phase")
    if phase != fields.status_of(before).get("phase"):
        said = str((condition_of(after, "Ready") or {}).get("message") or "")
        if phase == "Running":
            yield Notice("Normal", "Started", f"the guest was started{_where(after)}")
        elif phase == "Succeeded":
            yield Notice("Normal", "Stopped", f"the guest ended by itself: {said}")
        elif phase == "Failed":
            yield Notice("Warning", "Failed", f"the guest failed: {said}")
    waits = condition_of(after, "Synchronized")
    # Only the reason is compared: the message may have figures in it that change at every look.
    if waits and waits["status"] == "False" and waits["reason"] not in {*_ORDINARY, _reason(before, "Synchronized")}:
        yield Notice("Warning", waits["reason"], f"the guest cannot be started: {waits.get('message', '')}")
    if _reason(after, "Ready") == STANDS_STILL != _reason(before, "Ready"):
        yield Notice("Warning", STANDS_STILL, str((condition_of(after, "Ready") or {}).get("message", "")))


def _where(vmi: Manifest) -> str:
    addresses = [address for one in fields.items(vmi, "status", "interfaces") for address in one.get("ipAddresses", ())]
    return f", with the address {', '.join(addresses)}" if addresses else ""


def _of_machine(before: Manifest, after: Manifest) -> Iterator[Notice]:
    was, now = (fields.status_of(one).get("printableStatus") for one in (before, after))
    if was == "Stopping" != now:
        yield Notice("Normal", "Stopped", "the guest was stopped")


def _of_service(before: Manifest, after: Manifest) -> Iterator[Notice]:
    old, new = _addresses(before), _addresses(after)
    if new and new != old:
        yield Notice("Normal", "AddressAssigned", f"the address {', '.join(new)} was assigned")
    condition = condition_of(after, names.ADDRESS_ASSIGNED)
    if condition and condition["status"] == "False" and condition["reason"] != _reason(before, names.ADDRESS_ASSIGNED):
        yield Notice("Warning", condition["reason"], str(condition.get("message", "")))


def _addresses(service: Manifest) -> list[str]:
    return [one["ip"] for one in fields.items(service, "status", "loadBalancer", "ingress") if "ip" in one]


def _reason(manifest: Manifest, type: str) -> Any:
    return (condition_of(manifest, type) or {}).get("reason")
