"""Figures of an installation for a monitoring system: pure, but for `of`, which collects them.

Names and units follow Prometheus' rules: one-word prefix, base units, ``_total`` for counters only.
Source: https://prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from virtualserver import controlplane
from virtualserver.kube.conditions import condition_of
from virtualserver.local import inventory, status
from virtualserver.local.kubectl import Kubectl
from virtualserver.node.allocation import allocations
from virtualserver.node.allocation.nics import vpc_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from virtualserver.fabric.kernel.drops import Traffic
    from virtualserver.installation.installation import Installation
    from virtualserver.local.status import PoolUse

__all__ = ["Family", "Sample", "Tap", "exposition", "families", "of"]

_KINDS: Final = ("virtualservers", "virtualmachines", "virtualmachineinstances")
"""What a tap may belong to; a VirtualMachine has the name of its VirtualServer."""


class Tap(NamedTuple):
    """Whose traffic goes through a tap.

    Attributes:
        owner: The UID of whom it is for.
        vpc: The VPC that its NIC is on; None: the cluster network.
    """

    owner: str
    vpc: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One figure.

    Attributes:
        labels: What it is about.
        value: The figure.
    """

    labels: Mapping[str, str]
    value: float


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """All figures of one name.

    Attributes:
        name: As monitoring systems know it.
        kind: Whether it only grows.
        help: What it says, in one line.
        samples: The figures.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: tuple[Sample, ...]


def of(installation: Installation) -> list[Family]:
    """Return the figures of an installation; those that only the API knows are missing while it does not answer.

    Raises:
        MissingError: There is no such installation.
    """
    status.require(installation)
    found = controlplane.status(installation)
    objects: list[dict[str, Any]] = []
    services: list[dict[str, Any]] = []
    if found.ready:
        kubectl = Kubectl(installation)
        objects = [one for kind in _KINDS for one in kubectl.list(kind)]
        services = kubectl.list("services")
    plane = inventory.data_plane(installation)
    return families(
        components={part.name: part.ready for part in found.components},
        objects=objects,
        pools=status.pools_of(installation, services) if found.ready else (),
        taps={
            one.value: Tap(one.owner, vpc_of(one))
            for one in allocations.read(installation.allocations)
            if one.kind == "tap"
        },
        traffic={} if plane is None else asyncio.run(plane.traffic()),
    )


def families(
    *,
    components: Mapping[str, bool],
    objects: Sequence[Mapping[str, Any]],
    pools: Sequence[PoolUse],
    taps: Mapping[str, Tap],
    traffic: Mapping[str, Traffic],
) -> list[Family]:
    """Return the figures: pure.

    Args:
        components: Whether each component is ready, by its name.
        objects: The VirtualServers, VirtualMachines and VirtualMachineInstances.
        pools: The load balancer pools.
        taps: Whose each tap is, by its name.
        traffic: What went through each tap.
    """
    servers = [one for one in objects if one["kind"] == "VirtualServer"]
    known = {one["metadata"]["uid"]: one["metadata"] for one in objects}
    of_guests = [
        (card, of_tap) for device, of_tap in sorted(traffic.items()) if (card := _card(taps.get(device), known))
    ]
    return [
        _family("component_ready", "gauge", "Whether a component is ready.", _flags(components)),
        _family("servers", "gauge", "VirtualServers by the reason of their Ready.", _by_reason(servers)),
        _family("pool_addresses", "gauge", "Addresses of a pool.", (Sample({"pool": p.name}, p.size) for p in pools)),
        _family(
            "pool_addresses_held",
            "gauge",
            "Addresses of a pool that Services hold.",
            (Sample({"pool": p.name}, p.in_use) for p in pools),
        ),
        _family(
            "guest_sent_bytes_total",
            "counter",
            "What a guest has sent on a network card.",
            (Sample(card, of_tap.sent_bytes) for card, of_tap in of_guests),
        ),
        _family(
            "guest_received_bytes_total",
            "counter",
            "What a guest has got on a network card.",
            (Sample(card, of_tap.received_bytes) for card, of_tap in of_guests),
        ),
        _family(
            "guest_dropped_packets_total",
            "counter",
            "Packets of a guest's that were dropped, by reason.",
            (
                Sample({**card, "reason": reason}, packets)
                for card, of_tap in of_guests
                for reason, packets in of_tap.dropped.items()
            ),
        ),
    ]


def exposition(found: Iterable[Family]) -> str:
    """Return figures in Prometheus' text format: pure."""
    lines: list[str] = []
    for family in found:
        if family.samples:
            lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
            lines += [f"{family.name}{_labels(sample.labels)} {sample.value:.15g}" for sample in family.samples]
    return "".join(f"{line}\n" for line in lines)


def _family(name: str, kind: Literal["counter", "gauge"], text: str, samples: Iterable[Sample]) -> Family:
    return Family(f"virtualserver_{name}", kind, text, tuple(samples))


def _flags(components: Mapping[str, bool]) -> Iterator[Sample]:
    for name, is_ready in components.items():
        yield Sample({"component": name}, float(is_ready))


def _by_reason(servers: Iterable[Mapping[str, Any]]) -> Iterator[Sample]:
    counts = collections.Counter(_reason(server) for server in servers)
    for reason, count in sorted(counts.items()):
        yield Sample({"reason": reason}, count)


def _reason(server: Mapping[str, Any]) -> str:
    condition = condition_of(server, "Ready")
    return str(condition["reason"]) if condition else "Unknown"


def _card(tap: Tap | None, known: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the labels of a guest's network card; none while the API does not say whose it is.

    Without a name, the cards of several guests would have the same labels, which Prometheus refuses, with the whole
    text.
    """
    owner = known.get(tap.owner) if tap else None
    if tap is None or owner is None:
        return {}
    # A guest has a card on a VPC once, so that no two have the same labels.
    return {"namespace": owner["namespace"], "server": owner["name"]} | ({"vpc": tap.vpc} if tap.vpc else {})


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
