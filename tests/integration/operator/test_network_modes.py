"""Each row of the network's table, as objects on a real API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.operator.kinds import VIRTUAL_SERVER

if TYPE_CHECKING:
    from harness.operator_cluster import Cluster

pytestmark = pytest.mark.usefixtures("operator")

TABLE = [
    pytest.param(
        {"public": True, "tcp": {"ports": [22]}, "udp": {"ports": [53]}},
        {"web-tcp": "public", "web-udp": "public"},
        id="public ports",
    ),
    pytest.param(
        {"public": False, "tcp": {"ports": [22]}, "udp": {"ports": [53]}},
        {"web-tcp": "private", "web-udp": "private"},
        id="private ports",
    ),
    pytest.param(
        {"public": True, "directAttachLoadBalancerIP": True}, {"web-tcp": "public"}, id="public direct attach"
    ),
    pytest.param(
        {"public": False, "directAttachLoadBalancerIP": True}, {"web-tcp": "private"}, id="private direct attach"
    ),
    pytest.param({"public": False}, {"web": None}, id="headless"),
    pytest.param({"public": True}, {}, id="public without ports"),
    pytest.param({"public": True, "headless": True}, {"web": None}, id="public without ports, headless"),
    pytest.param({"public": True, "udp": {"ports": [53]}}, {"web-udp": "public"}, id="udp only"),
    pytest.param(
        {"public": True, "headless": True, "tcp": {"ports": [22]}},
        {"web-tcp": "public", "web": None},
        id="headless beside ports",
    ),
    pytest.param(
        {"public": False, "headless": True, "directAttachLoadBalancerIP": True},
        {"web-tcp": "private", "web": None},
        id="headless beside direct attach",
    ),
]


@pytest.mark.parametrize(("network", "expected"), TABLE)
async def test_a_network_becomes_these_services(
    cluster: Cluster, network: dict[str, Any], expected: dict[str, str | None]
) -> None:
    await cluster.create(network=network)
    machine = await cluster.object(kinds.VIRTUAL_MACHINE, "web")
    services = await cluster.client.list(kinds.SERVICE, namespace=cluster.namespace)
    pools = {
        item["metadata"]["name"]: item["metadata"].get("annotations", {}).get(names.METALLB_ADDRESS_POOL)
        for item in services
    }
    assert pools == expected
    attached = machine["spec"]["template"]["metadata"].get("annotations", {}).get(names.ATTACH_LOAD_BALANCER)
    assert attached == ("web-tcp" if network.get("directAttachLoadBalancerIP") else None)


async def test_a_server_becomes_ready_with_its_addresses(cluster: Cluster) -> None:
    await cluster.create(network={"tcp": {"ports": [22]}, "udp": {"ports": [53]}}, initializeRunning=True)
    await cluster.reason("ServicesCreated", type_="ServicesReady")
    await cluster.address("web-tcp", "203.0.113.9")
    await cluster.address("web-udp", "203.0.113.9")
    await cluster.reason("ServicesReady", type_="ServicesReady")
    await cluster.machine_runs()
    await cluster.reason("VirtualServerReady")
    server = await cluster.client.get(VIRTUAL_SERVER, "web", namespace=cluster.namespace)
    service = await cluster.object(kinds.SERVICE, "web-tcp")
    assert server["status"]["network"] == {
        "internalIP": "10.128.0.5",
        "externalIP": "203.0.113.9",
        "serviceIP": service["spec"]["clusterIP"],
        "floatingIPs": {},
    }
    types = [condition["type"] for condition in server["status"]["conditions"]]
    assert types == ["Ready", "ServicesReady", "VirtualMachineReady", "VirtualServerStarted", "FullyApplied"]
    assert all(condition["lastTransitionTime"] > "2000" for condition in server["status"]["conditions"])


async def test_ports_and_direct_attach_share_one_service_object(cluster: Cluster) -> None:
    await cluster.create(network={"tcp": {"ports": [22, 80]}})
    before = await cluster.object(kinds.SERVICE, "web-tcp")
    await cluster.address("web-tcp", "203.0.113.9")
    network: dict[str, Any] = {"tcp": {"ports": []}, "directAttachLoadBalancerIP": True}
    await cluster.change(VIRTUAL_SERVER, "web", spec={"network": network})

    async def attached() -> Any:
        service = await cluster.get(kinds.SERVICE, "web-tcp")
        return service and not service["spec"].get("selector") and service

    after = await cluster.until(attached)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert [port["name"] for port in after["spec"]["ports"]] == ["attach"]
    assert after["status"]["loadBalancer"] == {"ingress": [{"ip": "203.0.113.9", "ipMode": "VIP"}]}
    network = {"tcp": {"ports": [443]}, "directAttachLoadBalancerIP": False}
    await cluster.change(VIRTUAL_SERVER, "web", spec={"network": network})

    async def published() -> Any:
        service = await cluster.get(kinds.SERVICE, "web-tcp")
        return service and service["spec"].get("selector") and service

    again = await cluster.until(published)
    assert again["metadata"]["uid"] == before["metadata"]["uid"]
    assert [port["port"] for port in again["spec"]["ports"]] == [443]


async def test_the_address_moves_when_the_tcp_ports_go_away(cluster: Cluster) -> None:
    await cluster.create(network={"tcp": {"ports": [22]}})
    await cluster.address("web-tcp", "203.0.113.9")
    await cluster.reason("ServicesReady", type_="ServicesReady")
    await cluster.change(VIRTUAL_SERVER, "web", spec={"network": {"tcp": {"ports": []}, "udp": {"ports": [53]}}})
    await cluster.object(kinds.SERVICE, "web-udp")
    await cluster.settled()
    assert await cluster.get(kinds.SERVICE, "web-tcp"), "it holds the address until the other one has it"
    await cluster.address("web-udp", "203.0.113.9")
    await cluster.gone(kinds.SERVICE, "web-tcp")
    await cluster.reason("ServicesReady", type_="ServicesReady")


async def test_a_service_that_somebody_deletes_is_made_again(cluster: Cluster) -> None:
    await cluster.create(network={"tcp": {"ports": [22]}})
    before = await cluster.object(kinds.SERVICE, "web-tcp")
    await cluster.client.delete(kinds.SERVICE, "web-tcp", namespace=cluster.namespace)

    async def made_again() -> bool:
        service = await cluster.get(kinds.SERVICE, "web-tcp")
        return service is not None and service["metadata"]["uid"] != before["metadata"]["uid"]

    await cluster.until(made_again)


async def test_what_somebody_changes_in_a_service_is_put_back(cluster: Cluster) -> None:
    await cluster.create(network={"tcp": {"ports": [22]}})
    await cluster.object(kinds.SERVICE, "web-tcp")
    await cluster.change(kinds.SERVICE, "web-tcp", spec={"selector": {names.UID: "another"}})

    async def put_back() -> bool:
        service = await cluster.object(kinds.SERVICE, "web-tcp")
        return service["spec"]["selector"][names.UID] != "another"

    await cluster.until(put_back)


async def test_a_service_of_the_servers_name_that_is_somebody_elses_is_left_alone(cluster: Cluster) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": cluster.namespace},
        "spec": {"ports": [{"port": 80}]},
    }
    before = await cluster.client.create(kinds.SERVICE, theirs, field_manager="user")
    await cluster.create(network={"tcp": {"ports": [22]}})
    await cluster.object(kinds.SERVICE, "web-tcp")
    await cluster.change(VIRTUAL_SERVER, "web", spec={"network": {"headless": True}})
    told = await cluster.reason("ServiceNameTaken", type_="ServicesReady")
    assert "Service web " in told["message"]
    await cluster.change(VIRTUAL_SERVER, "web", spec={"network": {"headless": False}})
    await cluster.reason("ServicesCreated", type_="ServicesReady")
    assert await cluster.object(kinds.SERVICE, "web") == before


async def test_headless_comes_and_goes_beside_ports(cluster: Cluster) -> None:
    await cluster.create(network={"tcp": {"ports": [22]}})
    await cluster.address("web-tcp", "203.0.113.9")
    await cluster.change(VIRTUAL_SERVER, "web", spec={"network": {"headless": True}})
    await cluster.object(kinds.SERVICE, "web")
    await cluster.change(VIRTUAL_SERVER, "web", spec={"network": {"headless": False}})
    await cluster.gone(kinds.SERVICE, "web")
    assert await cluster.get(kinds.SERVICE, "web-tcp")
