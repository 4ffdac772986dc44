"""What a Service means for the data plane and for EndpointSlices: pure.

Source: Kubernetes, "Service" and "EndpointSlices".
"""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.fabric.desired.state import Address, FloatingAddress, Network, PublishedPort, ServiceRules
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import is_true
from virtualserver.kube.objects import age_of, controller_reference
from virtualserver.node.services import source_ranges
from virtualserver.plan.ownership import SERVICE_NAME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from virtualserver.fabric.desired.state import Protocol
    from virtualserver.kube.objects import Manifest
    from virtualserver.node.services.floating import Floats

__all__ = ["Backend", "endpoint_slices", "named_target_ports", "rules_of"]

_SERVICE_DOMAIN: Final = "svc.cluster.local"
_FAMILIES: Final = (4, 6)


@dataclasses.dataclass(frozen=True, slots=True)
class Backend:
    """A VMI that a Service leads to.

    Attributes:
        vmi: The VMI.
        addresses: Those that its cluster NIC has in the data plane; none while it does not run. What its status says of
            them may be old: a finalizer keeps a VMI whose machine has ended.
    """

    vmi: Manifest
    addresses: tuple[Address, ...]


def is_ready(service: Manifest, vmi: Manifest) -> bool:
    """Return whether a Service sends new connections to a VMI: it is ready, and is not told to end."""
    is_ending = bool(vmi["metadata"].get("deletionTimestamp"))
    return bool(service["spec"].get("publishNotReadyAddresses")) or (is_true(vmi, "Ready") and not is_ending)


def _serving(service: Manifest, running: Sequence[Backend]) -> list[Backend]:
    """Return those that new connections go to: all that are ready.

    Where none is, those that are only told to end go on: they answer as long as they can. Source: kube-proxy.
    """
    ready = [member for member in running if is_ready(service, member.vmi)]
    return ready or [member for member in running if is_true(member.vmi, "Ready")]


def _names(service: Manifest, cluster_ips: Sequence[Address], serving: Sequence[Backend]) -> dict[str, list[Address]]:
    """Return what cluster DNS answers for a Service: its ClusterIPs, else whom it leads to.

    Of a headless one, those whose ``subdomain`` it is have names of their own.
    """
    metadata = service["metadata"]
    name = f"{metadata['name']}.{metadata['namespace']}.{_SERVICE_DOMAIN}"
    found: dict[str, list[Address]] = {name: [*cluster_ips]} if cluster_ips else {}
    for member in () if cluster_ips else serving:
        spec = fields.mapping(member.vmi, "spec")
        host = str(spec.get("hostname") or member.vmi["metadata"]["name"])
        is_named = spec.get("subdomain") == metadata["name"] and names.DNS_LABEL.fullmatch(host)
        for one in (name, f"{host}.{name}") if is_named else (name,):
            found.setdefault(one, []).extend(member.addresses)
    return found


def named_target_ports(service: Manifest) -> list[str]:
    """Return the target ports that are names, which a machine does not have."""
    ports = fields.items(service, "spec", "ports")
    return [port["targetPort"] for port in ports if isinstance(port.get("targetPort"), str)]


def _cluster_ips(service: Manifest) -> list[Address]:
    spec = service["spec"]
    texts: Sequence[str] = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [ipaddress.ip_address(text) for text in texts if text not in ("None", "")]


def rules_of(
    service: Manifest,
    members: Sequence[Backend],
    *,
    granted: Collection[Address] = (),
    on_guests: Collection[Address] = (),
    is_attached: bool = False,
    attached: Collection[Address] = (),
    on_host: Collection[Address] = (),
    sharing: Sequence[Manifest] = (),
    floats: Floats | None = None,
) -> ServiceRules:
    """Return what a Service puts into the data plane.

    Args:
        service: The Service.
        members: The VMIs that it leads to.
        granted: Its load balancer addresses.
        on_guests: Addresses that guests' NICs have now.
        is_attached: True where a machine's cluster NIC has, or will have, the granted addresses.
        attached: Addresses that a machine was started with because of this Service, granted now or not.
        on_host: Where the data plane is called for what is published on the machine's own address, which is granted
            then; nobody answers for that but the machine.
        sharing: The Services that the granted addresses are shared with.
        floats: Where the granted addresses float to as a whole; None: each port goes its own way.
    """
    running = sorted((member for member in members if member.addresses), key=lambda member: age_of(member.vmi))
    serving = _serving(service, running)
    targets = [address for member in serving for address in member.addresses]
    cluster_ips = _cluster_ips(service)
    clients = source_ranges.clients_of(service).networks
    on_nics = set(granted if is_attached else [address for address in granted if address in on_guests]) | set(attached)
    restricted = source_ranges.of_all([service, *sharing]) if on_nics else None
    # A Service's source ranges are about its load balancer addresses.
    fronts = dict[Address, "tuple[Network, ...] | None"].fromkeys(cluster_ips)
    fronts |= dict.fromkeys([*granted, *on_host], clients)
    # A guest that has an address as its own gets all of its traffic already.
    fronts = {address: clients for address, clients in fronts.items() if address not in on_guests}
    if floats is not None:
        fronts = {address: clients for address, clients in fronts.items() if address not in granted}
    ports = frozenset(_ports(service, fronts, targets))
    oldest = [address for member in running[:1] for address in member.addresses]
    taken = {_front(port) for port in ports}
    return ServiceRules(
        ports=ports,
        withheld=frozenset(port for port in _ports(service, fronts, oldest) if _front(port) not in taken),
        restricted={} if restricted is None else dict.fromkeys(on_nics, restricted),
        announced=frozenset() if is_attached or on_host else frozenset(granted) - frozenset(on_guests),
        names={name: tuple(several) for name, several in _names(service, cluster_ips, serving).items()},
        floating=frozenset(_floating(floats, granted, on_guests, sharing)) if floats else frozenset(),
    )


def _floating(
    floats: Floats, granted: Iterable[Address], on_guests: Collection[Address], sharing: Iterable[Manifest]
) -> Iterator[FloatingAddress]:
    """Yield the addresses that float, each with the guest's of its family; what floats of one has the same clients.

    A port that another Service publishes is that one's alone, whether a machine is behind it or not. Where each that
    is claimed leads to machines itself, nobody says who may call the rest, and nothing floats.
    """
    if not floats.services:
        return
    clients = source_ranges.of_all(floats.services)
    others = [one for one in sharing if one not in floats.services and fields.mapping(one, "spec", "selector")]
    decided = _numbers(others) - _numbers(floats.services)
    for address in granted:
        target = next((one for one in floats.addresses if one.version == address.version), None)
        if target is not None and address not in on_guests:
            yield FloatingAddress(address, target, clients, is_source=floats.is_source, decided=decided)


def _numbers(services: Iterable[Manifest]) -> frozenset[tuple[Protocol, int]]:
    ports = (port for service in services for port in fields.items(service, "spec", "ports"))
    return frozenset((port.get("protocol", "TCP"), port["port"]) for port in ports)


def _ports(
    service: Manifest, fronts: Mapping[Address, tuple[Network, ...] | None], targets: Sequence[Address]
) -> Iterable[PublishedPort]:
    """Yield a Service's ports of some addresses, each with its clients, once for each target."""
    affinity = _affinity(service)
    for front, clients in fronts.items():
        own = [address for address in targets if address.version == front.version]
        for port in fields.items(service, "spec", "ports"):
            target_port = port.get("targetPort") or port["port"]
            if isinstance(target_port, int):
                protocol = port.get("protocol", "TCP")
                for target in own:
                    yield PublishedPort(front, port["port"], protocol, target, target_port, clients, affinity)


def _affinity(service: Manifest) -> int | None:
    """Return for how many seconds a client stays with a guest; None: it does not."""
    if service["spec"].get("sessionAffinity") != "ClientIP":
        return None
    return int(fields.mapping(service, "spec", "sessionAffinityConfig", "clientIP").get("timeoutSeconds") or 10800)


def _front(port: PublishedPort) -> tuple[Address, str, int]:
    return port.address, port.protocol, port.port


def endpoint_slices(service: Manifest, members: Sequence[Backend], *, node: str) -> list[dict[str, Any]]:
    """Return the EndpointSlices of a Service, one per family in which a member has an address.

    Args:
        service: The Service.
        members: The VMIs that it leads to.
        node: The name of the Node that they run on.
    """
    metadata = service["metadata"]
    slices: list[dict[str, Any]] = []
    for family in _FAMILIES:
        endpoints = [_endpoint(service, one, family, node) for one in members if _of_family(one, family)]
        if not endpoints:
            continue
        slices.append(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{metadata['name']}-ipv{family}",
                    "namespace": metadata["namespace"],
                    "labels": {
                        SERVICE_NAME: metadata["name"],
                        names.MANAGED_BY: names.MANAGED_BY_NODE,
                    },
                    "ownerReferences": [controller_reference(kinds.SERVICE, service)],
                },
                "addressType": f"IPv{family}",
                "endpoints": endpoints,
                # Null, as the API server stores an empty list: what it has is compared with this.
                "ports": [_slice_port(port) for port in fields.items(service, "spec", "ports")] or None,
            }
        )
    return slices


def _of_family(member: Backend, family: int) -> list[str]:
    return [str(address) for address in member.addresses if address.version == family]


def _endpoint(service: Manifest, member: Backend, family: int, node: str) -> dict[str, Any]:
    vmi = member.vmi
    terminating = bool(vmi["metadata"].get("deletionTimestamp"))
    serving = bool(service["spec"].get("publishNotReadyAddresses")) or is_true(vmi, "Ready")
    return {
        "addresses": _of_family(member, family)[:1],
        "conditions": {"ready": is_ready(service, vmi), "serving": serving, "terminating": terminating},
        "nodeName": node,
        "targetRef": {
            "kind": "VirtualMachineInstance",
            "namespace": vmi["metadata"]["namespace"],
            "name": vmi["metadata"]["name"],
            "uid": vmi["metadata"]["uid"],
        },
    }


def _slice_port(port: Mapping[str, Any]) -> dict[str, Any]:
    target = port.get("targetPort")
    result: dict[str, Any] = {"protocol": port.get("protocol", "TCP")}
    result["name"] = port.get("name", "")
    result["port"] = target if isinstance(target, int) and target else port["port"]
    return result
