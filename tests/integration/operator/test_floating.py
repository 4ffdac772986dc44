"""Claims to floating addresses on a real API server: who comes first has it, and a Service is never written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from virtualserver.kube import kinds
from virtualserver.kube.objects import controller_of
from virtualserver.operator.kinds import VIRTUAL_SERVER
from virtualserver.plan.ownership import claim_name

if TYPE_CHECKING:
    from harness.operator_cluster import Cluster

pytestmark = pytest.mark.usefixtures("operator")

ADDRESS = "203.0.113.20"


async def a_service(cluster: Cluster, name: str = "fip", **spec: Any) -> str:
    """Make a floating Service as a user, grant it an address as the node, and return its resource version."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": cluster.namespace},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 1}], **spec},
    }
    await cluster.client.create(kinds.SERVICE, manifest, field_manager="user")
    granted = await cluster.node_writes(kinds.SERVICE, name, loadBalancer={"ingress": [{"ip": ADDRESS}]})
    return granted["metadata"]["resourceVersion"]


async def owner_of(cluster: Cluster, service: str = "fip") -> str | None:
    claim = await cluster.get(kinds.ENDPOINT_SLICE, claim_name(service))
    controller = controller_of(claim) if claim else None
    return controller["name"] if controller else None


async def held(cluster: Cluster, name: str) -> dict[str, str]:
    server = await cluster.client.get(VIRTUAL_SERVER, name, namespace=cluster.namespace)
    return server["status"]["network"].get("floatingIPs", {})


async def test_one_of_two_servers_has_the_address_and_the_other_follows_by_itself(cluster: Cluster) -> None:
    version = await a_service(cluster)
    await cluster.create("first", network={"floatingIPs": [{"serviceName": "fip"}]})
    await cluster.until(lambda: held(cluster, "first"))
    await cluster.create("second", network={"floatingIPs": ["fip"]})
    told = await cluster.reason("FloatingServiceClaimed", "second", "ServicesReady")
    assert "VirtualServer first" in told["message"]
    assert await owner_of(cluster) == "first" and not await held(cluster, "second")
    claim = await cluster.object(kinds.ENDPOINT_SLICE, claim_name("fip"))
    await cluster.change(VIRTUAL_SERVER, "first", metadata={"annotations": {"any": "word"}})
    await cluster.settled()
    again = await cluster.object(kinds.ENDPOINT_SLICE, claim_name("fip"))
    assert again["metadata"]["resourceVersion"] == claim["metadata"]["resourceVersion"]
    await cluster.change(VIRTUAL_SERVER, "first", spec={"network": {"floatingIPs": []}})
    await cluster.until(lambda: held(cluster, "second"))
    assert await owner_of(cluster) == "second"
    await cluster.change(VIRTUAL_SERVER, "first", spec={"network": {"floatingIPs": [ADDRESS]}})
    await cluster.reason("FloatingServiceClaimed", "first", "ServicesReady")
    await cluster.client.delete(VIRTUAL_SERVER, "second", namespace=cluster.namespace)
    await cluster.until(lambda: held(cluster, "first"))
    service = await cluster.object(kinds.SERVICE, "fip")
    assert service["metadata"]["resourceVersion"] == version, "the Service is never written"


async def test_of_two_services_with_one_address_one_servers_counts_and_the_other_is_told_whose(
    cluster: Cluster,
) -> None:
    await a_service(cluster)
    await a_service(cluster, "twin")
    await cluster.create("first", network={"floatingIPs": ["fip"]})
    await cluster.until(lambda: held(cluster, "first"))
    await cluster.create("second", network={"floatingIPs": ["twin"]})
    told = await cluster.reason("FloatingServiceClaimed", "second", "ServicesReady")
    assert "Service twin: its address is held by VirtualServer first" in told["message"]
    assert await owner_of(cluster, "twin") is None and not await held(cluster, "second")
    await cluster.change(VIRTUAL_SERVER, "first", spec={"network": {"floatingIPs": []}})
    await cluster.until(lambda: held(cluster, "second"))
    assert await owner_of(cluster, "twin") == "second" and not await held(cluster, "first")


async def test_a_missing_service_and_a_literal_address_are_waited_for(cluster: Cluster) -> None:
    await cluster.create(network={"floatingIPs": ["fip", "240.141.77.141"]})
    await cluster.reason("FloatingServiceMissing", type_="ServicesReady")
    pinned = await cluster.object(kinds.SERVICE, "web-f0")
    assert pinned["metadata"]["annotations"]["metallb.io/loadBalancerIPs"] == "240.141.77.141"
    await a_service(cluster)
    await cluster.reason("WaitingForAddress", type_="ServicesReady")
    await cluster.until(lambda: held(cluster, "web"))
    assert await held(cluster, "web") == {"fip": ADDRESS}
    await cluster.change(VIRTUAL_SERVER, "web", spec={"network": {"floatingIPs": ["fip"]}})
    await cluster.gone(kinds.SERVICE, "web-f0")
    await cluster.gone(kinds.ENDPOINT_SLICE, claim_name("web-f0"))
    await cluster.reason("ServicesReady", type_="ServicesReady")


async def test_a_service_with_endpoints_or_a_selector_is_refused_until_it_has_none(cluster: Cluster) -> None:
    await a_service(cluster, selector={"virtualservers.coreweave.com/name": "web"})
    foreign = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "by-hand",
            "namespace": cluster.namespace,
            "labels": {"kubernetes.io/service-name": "fip"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.1"]}],
    }
    await cluster.client.create(kinds.ENDPOINT_SLICE, foreign, field_manager="user")
    await cluster.create(network={"floatingIPs": ["fip"]})

    async def told(words: str) -> bool:
        return words in (await cluster.condition(type_="ServicesReady"))["message"]

    await cluster.until(lambda: told("selector that matches VirtualMachine web"))
    await cluster.change(kinds.SERVICE, "fip", spec={"selector": None})
    await cluster.until(lambda: told("EndpointSlice by-hand"))
    assert await owner_of(cluster) is None
    await cluster.client.delete(kinds.ENDPOINT_SLICE, "by-hand", namespace=cluster.namespace)
    await cluster.until(lambda: held(cluster, "web"))
