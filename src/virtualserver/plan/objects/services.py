"""The Services of a server: what each network mode becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.kube import fields
from virtualserver.plan import ownership
from virtualserver.plan.outcome import Apply, Removal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.kube.objects import Manifest
    from virtualserver.plan.floating import Floating
    from virtualserver.plan.network import NIC, LoadBalancer
    from virtualserver.plan.situation import Situation

__all__ = ["all_granted", "granted", "granted_to", "removals", "services"]

_WITHOUT_FORWARDING: Final[Mapping[str, Any]] = {
    "ports": [{"name": "attach", "protocol": "TCP", "port": 1, "targetPort": 1}]
}
"""A Service has a port, so one that only holds an address has this."""


def services(situation: Situation) -> list[Apply]:
    """Return the Services that the server's network asks for."""
    network = situation.network
    result = [Apply(_load_balancer(situation, balancer)) for balancer in network.load_balancers]
    if network.headless is not None:
        result.append(Apply(_headless(situation, network.headless)))
    return result + [
        Apply(_pinned(situation, one)) for one in situation.floating if one.pinned and one.obstacle is None
    ]


def granted(situation: Situation, balancer: LoadBalancer) -> tuple[str, ...]:
    """Return the addresses of a load balancer; one that is said to be from another pool than it asks for counts not."""
    service = situation.children.get("Service", balancer.name)
    if service is None or situation.site.driver.allocated_pool(service) not in (None, balancer.pool.name):
        return ()
    return fields.load_balancer_addresses(service)


def granted_to(situation: Situation, nic: NIC) -> tuple[str, ...]:
    """Return the addresses of the load balancer that a NIC is attached to, none where it is attached to none."""
    balancers = situation.network.load_balancers
    return next((granted(situation, balancer) for balancer in balancers if balancer.name == nic.attached_to), ())


def all_granted(situation: Situation) -> tuple[str, ...]:
    """Return the addresses of all load balancers, each once, in their order."""
    balancers = situation.network.load_balancers
    return tuple(dict.fromkeys(address for balancer in balancers for address in granted(situation, balancer)))


def removals(situation: Situation) -> list[Removal]:
    """Return the Services of ours that are no longer wanted.

    One that holds the shared address stays until every Service that takes its place has an address: the address moves
    because two Services of one sharing key hold it for a moment; it would be freed otherwise.
    """
    network, children = situation.network, situation.children
    if not situation.keeps_its_addresses:
        # Until it starts next, the guest is reached as it was when it started.
        return _removed_pins(situation)
    # From whichever pool: an address of the former one is held too.
    holders = (children.get("Service", balancer.name) or {} for balancer in network.load_balancers)
    waiting = not all(map(fields.load_balancer_addresses, holders))
    result: list[Removal] = []
    for name in network.names:
        service = children.get("Service", name)
        if service is None or name in network.services or children.leaving("Service", name):
            continue
        if waiting and fields.load_balancer_addresses(service):
            continue
        result.append(Removal("Service", situation.server.namespace, name, service["metadata"]["uid"]))
    return result + _removed_pins(situation)


def _removed_pins(situation: Situation) -> list[Removal]:
    """Return the Services of ours that hold literal addresses which the manifest does not name any more."""
    wanted = {one.service for one in situation.floating if one.pinned}
    unwanted = [name for name in ownership.pinned_names(situation.server.name) if name not in wanted]
    found = ((name, situation.children.get("Service", name)) for name in unwanted)
    return [
        Removal("Service", situation.server.namespace, name, service["metadata"]["uid"])
        for name, service in found
        if service is not None and not situation.children.leaving("Service", name)
    ]


def _load_balancer(situation: Situation, balancer: LoadBalancer) -> Manifest:
    server, driver = situation.server, situation.site.driver
    annotations = situation.site.annotations.of_services(server.metadata.annotations)
    # A key that no other server has: with a shared word another tenant could sit on this address.
    annotations |= driver.service_annotations(pool=balancer.pool.name, sharing_key=server.uid)
    spec = {"type": "LoadBalancer", **driver.service_fields(), **_forwarding(situation, balancer)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": ownership.metadata(server, balancer.name, annotations=annotations),
        "spec": spec,
    }


def _forwarding(situation: Situation, balancer: LoadBalancer) -> Mapping[str, Any]:
    """Return the ports of a load balancer and whom they lead to."""
    if balancer.is_attached:
        published = _published(situation, balancer)
        if published and not situation.keeps_its_addresses:
            return published  # the guest that runs has another address, and stays reachable until it starts next
        # A Service that only holds the address: without a selector nothing is forwarded, the NIC has the address.
        return _WITHOUT_FORWARDING
    protocol = balancer.protocol
    ports = [
        {"name": f"{protocol.lower()}-{port}", "protocol": protocol, "port": port, "targetPort": port}
        for port in balancer.ports
    ]
    return {"selector": {names.UID: situation.server.uid}, "ports": ports}


def _published(situation: Situation, balancer: LoadBalancer) -> Mapping[str, Any]:
    """Return the ports that a Service of the server publishes now and whom they lead to, ``{}`` where it does not."""
    spec = fields.mapping(situation.children.get("Service", balancer.name) or {}, "spec")
    selector = {names.UID: situation.server.uid}
    if spec.get("selector") != selector:
        return {}
    ports = [
        {key: port[key] for key in ("name", "protocol", "port", "targetPort") if key in port}
        for port in fields.items(spec, "ports")
    ]
    return {"selector": selector, "ports": ports}


def _pinned(situation: Situation, floating: Floating) -> Manifest:
    """A Service of ours that holds an address which no Service of the namespace holds; it goes with the server."""
    server, driver = situation.server, situation.site.driver
    annotations = situation.site.annotations.of_services(server.metadata.annotations)
    annotations |= driver.pinned_annotations(address=floating.pinned)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": ownership.metadata(server, floating.service, annotations=annotations),
        "spec": {"type": "LoadBalancer", **driver.service_fields(), **_WITHOUT_FORWARDING},
    }


def _headless(situation: Situation, name: str) -> Manifest:
    """No address: cluster DNS answers the server's name with the guest's own address."""
    server = situation.server
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": ownership.metadata(server, name),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {names.UID: server.uid},
        },
    }
