"""What KubeVirt, or the node in its place, says about a machine."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from virtualserver.api import names

if TYPE_CHECKING:
    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.plan.values import Manifest, Observed

__all__ = ["Phase", "attachment", "command", "condition", "guest_addresses", "instance", "pending_changes", "phase"]


class Phase(enum.Enum):
    """Where a machine stands between stopped and running."""

    UNREPORTED = enum.auto()
    STOPPED = enum.auto()
    STARTING = enum.auto()
    RUNNING = enum.auto()
    PAUSED = enum.auto()
    STOPPING = enum.auto()
    FAILING = enum.auto()


_PHASES: Mapping[str, Phase] = {
    "Stopped": Phase.STOPPED,
    "Provisioning": Phase.STARTING,
    "WaitingForVolumeBinding": Phase.STARTING,
    "Starting": Phase.STARTING,
    "Running": Phase.RUNNING,
    "Migrating": Phase.RUNNING,
    "Paused": Phase.PAUSED,
    "Stopping": Phase.STOPPING,
    "Terminating": Phase.STOPPING,
}
"""By ``printableStatus``; every other word of KubeVirt's names a failure."""


def phase(observed: Observed) -> Phase:
    """Return where the machine stands; ``UNREPORTED`` until somebody has said so."""
    word = printable_status(observed)
    if word in ("Stopped", "Running"):
        unseen = _unseen_strategy(observed.virtual_machine or {})
        if word == "Stopped" and unseen in ("Always", "RerunOnFailure"):
            return Phase.STARTING
        if word == "Running" and unseen == "Halted":
            return Phase.STOPPING
    return _PHASES.get(word, Phase.FAILING) if word else Phase.UNREPORTED


def _unseen_strategy(machine: Manifest) -> str | None:
    """Return the run strategy that was written and that whoever runs the machine has not seen yet, None for none."""
    wanted = machine.get("spec", {}).get("runStrategy")
    seen = machine.get("status", {}).get("runStrategy")
    return wanted if seen not in (None, wanted) else None


def printable_status(observed: Observed) -> str:
    """Return KubeVirt's word for the machine, ``""`` until there is one."""
    return str((observed.virtual_machine or {}).get("status", {}).get("printableStatus") or "")


def command(server: VirtualServer, verb: Literal["start", "restart"]) -> str:
    """Return what a person types to start or restart the machine: with virtctl, and with kubectl where that lacks."""
    path = f"/apis/subresources.kubevirt.io/v1/namespaces/{server.namespace}/virtualmachines/{server.name}/{verb}"
    return f"virtctl {verb} {server.name} (without virtctl: echo {{}} | kubectl replace -f - --raw {path})"


def instance(observed: Observed) -> Manifest | None:
    """Return the VirtualMachineInstance unless it has ended."""
    found = observed.virtual_machine_instance
    if found is None or found.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return None
    return found


def condition(manifest: Manifest | None, type_: str) -> Mapping[str, Any]:
    """Return a condition of an object, ``{}`` where there is none."""
    found: Sequence[Mapping[str, Any]] = (manifest or {}).get("status", {}).get("conditions") or ()
    nothing: Mapping[str, Any] = {}
    return next((item for item in found if item.get("type") == type_), nothing)


def guest_addresses(observed: Observed) -> tuple[str, ...]:
    """Return the addresses of the cluster NIC of the guest that runs."""
    interfaces: Sequence[Mapping[str, Any]] = (instance(observed) or {}).get("status", {}).get("interfaces") or ()
    for interface in interfaces:
        if interface.get("name") == "default":
            first = interface.get("ipAddress")
            return tuple(interface.get("ipAddresses") or ([first] if first else ()))
    return ()


def attachment(manifest: Mapping[str, Any] | None) -> str | None:
    """Return the Service whose addresses a machine's NIC has, by the annotation of its metadata."""
    metadata: Mapping[str, Any] = (manifest or {}).get("metadata") or {}
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    return annotations.get(names.ATTACH_LOAD_BALANCER)


def pending_changes(observed: Observed, template: Mapping[str, Any]) -> list[str]:
    """Return the fields of a machine's template that the running guest does not have yet; it has them after a restart.

    Args:
        observed: What exists.
        template: The template as planned now.
    """
    running = instance(observed)
    if running is None:
        return []
    changed = list(_differing(template["spec"], running.get("spec", {}), ""))
    if attachment(template) != attachment(running):
        changed.append("directAttachLoadBalancerIP")
    return changed


def _differing(wanted: Any, found: Any, path: str) -> Iterator[str]:
    """Yield the paths at which something wanted is missing or different; what is found beside it does not matter."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        theirs = cast("Mapping[str, Any]", found)
        for key, value in cast("Mapping[str, Any]", wanted).items():
            yield from _differing(value, theirs.get(key), f"{path}.{key}" if path else key)
    elif isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)):
        mine, others = cast("Sequence[Any]", wanted), cast("Sequence[Any]", found)
        if len(mine) != len(others):
            yield path
        for index, (one, other) in enumerate(zip(mine, others, strict=False)):
            yield from _differing(one, other, f"{path}[{index}]")
    elif wanted != found:
        yield path
