"""To whom a Service's address floats: by a claim that a living server stands behind, and by nothing else."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.fabric.desired.state import FloatingAddress, PublishedPort
from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.kube.objects import controller_reference
from virtualserver.node.services import floating
from virtualserver.node.services.floating import Floats
from virtualserver.node.services.rules import Backend, rules_of
from virtualserver.node.watches import WATCHES
from virtualserver.plan.ownership import SERVICE_NAME, VIRTUAL_SERVER, claim_name

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource

ip = ipaddress.ip_address
ADDRESS, GUEST, CLUSTER = ip("203.0.113.9"), ip("10.42.0.2"), ip("10.96.0.9")


class Node:
    """What a node's cache knows: a Service, and the servers that name it."""

    def __init__(self) -> None:
        self.cache = Cache(cast("Client", None), WATCHES)
        self._version = 0
        self.service = self.knows(kinds.SERVICE, "address", spec={"type": "LoadBalancer", "ports": [{"port": 1}]})

    def knows(self, resource: Resource, name: str, *, owner: dict[str, Any] | None = None, **parts: Any) -> Manifest:
        self._version += 1
        metadata = {"namespace": "ns", "name": name, "uid": f"uid-of-{name}", "resourceVersion": str(self._version)}
        metadata |= parts.pop("metadata", {})
        if owner:
            metadata["ownerReferences"] = [owner]
        return self.cache.remember(resource, {"kind": resource.kind, "metadata": metadata, **parts})

    def server(self, name: str, *named: object) -> Manifest:
        return self.knows(VIRTUAL_SERVER, name, spec={"network": {"floatingIPs": list(named)}})

    def claim(self, server: str, *, uid: str = "", service: str = "address", **metadata: Any) -> Manifest:
        owner = controller_reference(VIRTUAL_SERVER, {"metadata": {"name": server, "uid": uid or f"uid-of-{server}"}})
        labels = {SERVICE_NAME: service}
        return self.knows(
            kinds.ENDPOINT_SLICE, claim_name(service), owner=owner, metadata={"labels": labels, **metadata}
        )

    def claimant(self) -> str | None:
        found = floating.claimant(self.cache, self.service, [ADDRESS])
        return found["metadata"]["name"] if found else None


@pytest.fixture
async def node() -> Node:
    return Node()


@pytest.mark.parametrize("named", ["address", {"serviceName": "address"}, "203.0.113.9"])
async def test_a_claim_of_a_server_that_names_the_service_or_its_address_counts(node: Node, named: object) -> None:
    node.server("web", "other", named)
    node.claim("web")
    assert node.claimant() == "web"
    assert floating.claimed_by(node.cache, "uid-of-web") == [("ns", "address")]


async def test_nothing_else_counts_whatever_it_looks_like(node: Node) -> None:
    """Who may write an EndpointSlice may write any owner into it, and any endpoints."""
    node.server("web", "other")
    node.claim("web")
    assert node.claimant() is None, "the server that it names does not ask for it"
    node.server("web", "address")
    node.claim("web", uid="uid-of-an-earlier-one")
    assert node.claimant() is None, "the server that it names is gone"
    node.claim("nobody")
    assert node.claimant() is None
    node.claim("web", deletionTimestamp="2026-01-01T00:00:00Z")
    assert node.claimant() is None, "it is given up"
    node.knows(kinds.ENDPOINT_SLICE, claim_name("address"), metadata={"labels": {SERVICE_NAME: "address"}})
    assert node.claimant() is None, "nobody made it"
    owner = controller_reference(kinds.SERVICE, {"metadata": {"name": "address", "uid": "uid-of-address"}})
    node.knows(kinds.ENDPOINT_SLICE, claim_name("address"), owner=owner)
    assert node.claimant() is None


async def test_a_service_of_another_server_is_not_to_be_claimed(node: Node) -> None:
    node.server("web", "mail-tcp")
    node.server("mail")
    owner = controller_reference(VIRTUAL_SERVER, {"metadata": {"name": "mail", "uid": "uid-of-mail"}})
    node.service = node.knows(kinds.SERVICE, "mail-tcp", owner=owner)
    node.claim("web", service="mail-tcp")
    assert node.claimant() is None


async def test_the_guest_is_the_servers_own(node: Node) -> None:
    server = node.server("web", "address")
    assert floating.guest_of(node.cache, server) is None
    node.knows(kinds.VIRTUAL_MACHINE_INSTANCE, "web")
    assert floating.guest_of(node.cache, server) is None, "made by hand, of the same name"
    of_server = controller_reference(VIRTUAL_SERVER, server)
    vm = node.knows(kinds.VIRTUAL_MACHINE, "web", owner=of_server)
    vmi = node.knows(kinds.VIRTUAL_MACHINE_INSTANCE, "web", owner=controller_reference(kinds.VIRTUAL_MACHINE, vm))
    assert floating.guest_of(node.cache, server) is vmi


async def test_an_address_that_floats_takes_all_its_ports_along_and_cluster_ports_stay(node: Node) -> None:
    service = {
        "metadata": {"namespace": "ns", "name": "address", "uid": "s"},
        "spec": {"clusterIPs": [str(CLUSTER)], "ports": [{"port": 80}]},
    }
    vmi = {"metadata": {"name": "web", "uid": "v"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    floats = Floats(node.server("web", "address"), vmi, (GUEST,), is_source=True, services=(service,))
    rules = rules_of(service, [Backend(vmi, (GUEST,))], granted=[ADDRESS], floats=floats)
    assert rules.floating == {FloatingAddress(ADDRESS, GUEST, None, is_source=True)}
    assert rules.ports == {PublishedPort(CLUSTER, 80, "TCP", GUEST, 80)}
    assert rules.announced == {ADDRESS} and {ADDRESS, GUEST} <= rules.addresses
    stopped = rules_of(service, [], granted=[ADDRESS], floats=floats._replace(addresses=()))
    assert not stopped.floating and stopped.announced == {ADDRESS}
    ranges = {**service, "spec": {**service["spec"], "loadBalancerSourceRanges": ["192.0.2.0/24"]}}
    (one,) = rules_of(ranges, [], granted=[ADDRESS], floats=floats._replace(services=(ranges,))).floating
    assert one.clients == (ipaddress.ip_network("192.0.2.0/24"),)
    assert not rules_of(service, [], granted=[ADDRESS], on_guests=[ADDRESS], floats=floats).floating


async def test_fault_16_a_port_that_another_service_publishes_floats_for_nobody_and_lends_no_clients(
    node: Node,
) -> None:
    def a_service(name: str, port: int, ranges: str, **spec: Any) -> Manifest:
        parts = {"ports": [{"port": port}], "loadBalancerSourceRanges": [ranges], **spec}
        return {"metadata": {"namespace": "ns", "name": name, "uid": name}, "spec": parts}

    floating_one, idle = a_service("address", 9, "100.99.0.2/32"), a_service("idle", 80, "192.0.2.0/24")
    others = [
        a_service("admin", 22, "203.0.113.0/24", selector={"kubevirt.io/domain": "web"}),
        a_service("off", 53, "203.0.113.0/24", selector={"nobody": "has it"}, ports=[{"port": 53, "protocol": "UDP"}]),
        a_service(
            "twice", 9, "203.0.113.0/24", selector={"nobody": "has it"}
        ),  # refused: the port is the floating one's
    ]
    vmi = {"metadata": {"name": "web", "uid": "v"}}
    floats = Floats(node.server("web", "address"), vmi, (GUEST,), services=(floating_one,))
    rules = rules_of(
        floating_one, [Backend(vmi, (GUEST,))], granted=[ADDRESS], floats=floats, sharing=[floating_one, idle, *others]
    )
    clients = (ipaddress.ip_network("100.99.0.2/32"),)
    assert rules.floating == {FloatingAddress(ADDRESS, GUEST, clients, decided=frozenset({("TCP", 22), ("UDP", 53)}))}
    nobodys = floats._replace(services=())
    assert not rules_of(floating_one, [], granted=[ADDRESS], floats=nobodys, sharing=[floating_one]).floating
