"""What KubeVirt, or the node in its place, says about a machine."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from virtualserver.kube import fields

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest
    from virtualserver.plan.situation import Situation

__all__ = [
    "Phase",
    "guest_addresses",
    "keeps_its_addresses",
    "pending_changes",
    "phase",
    "printable_status",
    "running_instance",
]


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


def phase(situation: Situation) -> Phase:
    """Return where the machine stands; ``UNREPORTED`` until somebody has said so."""
    word = printable_status(situation)
    if word in ("Stopped", "Running"):
        unseen = _unseen_strategy(situation.machine or {})
        if word == "Stopped" and unseen in ("Always", "RerunOnFailure"):
            return Phase.STARTING
        if word == "Running" and unseen == "Halted":
            return Phase.STOPPING
    return _PHASES.get(word, Phase.FAILING) if word else Phase.UNREPORTED


def _unseen_strategy(machine: Manifest) -> str | None:
    """Return the run strategy that was written and that whoever runs the machine has not seen yet, None for none."""
    wanted = fields.mapping(machine, "spec").get("runStrategy")
    seen = fields.status_of(machine).get("runStrategy")
    return wanted if seen not in (None, wanted) else None


def printable_status(situation: Situation) -> str:
    """Return KubeVirt's word for the machine, ``""`` until there is one."""
    return str(fields.status_of(situation.machine or {}).get("printableStatus") or "")


def running_instance(situation: Situation) -> Manifest | None:
    """Return the VirtualMachineInstance, None where there is none or it has ended."""
    found = situation.instance
    return None if found is None or fields.status_of(found).get("phase") in ("Succeeded", "Failed") else found


def guest_addresses(situation: Situation, nic: str) -> tuple[str, ...]:
    """Return the addresses of a NIC of the guest that runs, by the NIC's name."""
    for interface in fields.items(running_instance(situation) or {}, "status", "interfaces"):
        if interface.get("name") == nic:
            first = interface.get("ipAddress")
            return tuple(interface.get("ipAddresses") or ([first] if first else ()))
    return ()


def keeps_its_addresses(situation: Situation) -> bool:
    """Return whether the machine, as it was started, has its addresses from where the manifest now says."""
    nic = situation.network.cluster_nic
    attached_to = nic.attached_to if nic else None
    return situation.site.driver.attached_service(running_instance(situation)) == attached_to


def pending_changes(situation: Situation, template: Mapping[str, Any]) -> list[str]:
    """Return the fields of a machine's template that the running guest does not have yet; it has them after a restart.

    Args:
        situation: Of the server.
        template: The template as planned now.
    """
    running = running_instance(situation)
    if running is None:
        return []
    changed = list(_differing(template["spec"], fields.mapping(running, "spec"), ""))
    passed = situation.site.annotations.of_machine
    now, then = fields.mapping(template, "metadata", "annotations"), fields.annotations_of(running)
    changed += [
        f"metadata.annotations[{key}]" for key in sorted(passed({**then, **now})) if now.get(key) != then.get(key)
    ]
    if not keeps_its_addresses(situation):
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
