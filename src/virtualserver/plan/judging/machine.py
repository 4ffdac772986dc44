"""What KubeVirt, or the node in its place, says about a machine."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from virtualserver.api import names
from virtualserver.api.support.virtual_server import VIRTUAL_SERVER
from virtualserver.kube import fields

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest
    from virtualserver.plan.situation import Situation

__all__ = [
    "Phase",
    "guest_addresses",
    "pending_changes",
    "phase",
    "printable_status",
]


_NETWORK_DATA: Final = ".networkDataSecretRef"
_VPCS: Final = "spec.network.vpcs"

_FIELDS: Final = tuple((re.compile(field.template), field.path) for field in VIRTUAL_SERVER if field.template)
"""Which field of a manifest a path of the machine's template follows from: the first that matches."""

_OPTIONAL: Final = (
    "dnsConfig",
    "dnsConfig.nameservers",
    "dnsConfig.searches",
    "dnsConfig.options",
    "livenessProbe",
    "readinessProbe",
    "domain.devices.autoattachPodInterface",
    "domain.devices.useVirtioTransitional",
    "domain.firmware.serial",
    "domain.firmware.bootloader",
)
"""Paths of a template that are there where a manifest asks for them, and that nobody else adds."""


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


def guest_addresses(situation: Situation, nic: str) -> tuple[str, ...]:
    """Return the addresses of a NIC of the guest that runs, by the NIC's name."""
    for interface in fields.items(situation.running or {}, "status", "interfaces"):
        if interface.get("name") == nic:
            first = interface.get("ipAddress")
            return tuple(interface.get("ipAddresses") or ([first] if first else ()))
    return ()


def pending_changes(situation: Situation, template: Mapping[str, Any]) -> list[str]:
    """Return the fields of the manifest that the running guest does not have yet, in its words; a restart gives them.

    Args:
        situation: Of the server.
        template: The machine's template as planned now.
    """
    running = situation.running
    if running is None:
        return []
    has = fields.mapping(running, "spec")
    paths = [*_differing(template["spec"], has, ""), *_left_over(template["spec"], has)]
    # A guest that an earlier version started goes on without: cloud-init asked for DHCP on its card by itself.
    paths = [path for path in paths if _NETWORK_DATA not in path]
    changed = [_field_of(path) for path in paths]
    passed = situation.site.annotations.of_machine
    now, then = fields.mapping(template, "metadata", "annotations"), fields.annotations_of(running)
    changed += [
        f"metadata.annotations[{key}]" for key in sorted(passed({**then, **now})) if now.get(key) != then.get(key)
    ]
    if now.get(names.NETWORK_DATA) != then.get(names.NETWORK_DATA):
        changed.append("spec.cloudInit (network)")
    if not situation.keeps_its_addresses:
        changed.append("spec.network.directAttachLoadBalancerIP")
    if not situation.keeps_its_cluster_nic:
        # Every NIC has another place then, whether its own field changed or not.
        moved = ["spec.network.macAddress", *([_VPCS] if _vpcs(template["spec"]) == _vpcs(has) else [])]
        changed = [field for field in changed if field not in moved]
    return list(dict.fromkeys(changed))


def _field_of(path: str) -> str:
    """Return the field of a manifest that a path of the machine's template follows from; else the path itself."""
    return next((field for pattern, field in _FIELDS if pattern.match(path)), path)


def _vpcs(spec: Mapping[str, Any]) -> list[Any]:
    """Return the networks of a machine beside the cluster's, in their order."""
    return [network for network in fields.items(spec, "networks") if "multus" in network]


def _left_over(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of what a manifest gave and does not give any more; all else that is found has other makers."""
    for path in _OPTIONAL:
        *above, key = path.split(".")
        if key in fields.mapping(found, *above) and key not in fields.mapping(wanted, *above):
            yield path


def _differing(wanted: Any, found: Any, path: str) -> Iterator[str]:
    """Yield the paths at which something wanted is missing or different; what is found beside it does not matter."""
    if isinstance(wanted, Mapping) and wanted and isinstance(found, Mapping | None):
        theirs = cast("Mapping[str, Any]", found or {})
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
