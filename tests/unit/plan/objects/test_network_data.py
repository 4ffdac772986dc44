"""What the guest is told of its network cards."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from harness.virtualservers import a_server
from virtualserver.plan import planning
from virtualserver.plan.children import Children
from virtualserver.plan.sites.site import Site
from virtualserver.plan.situation import Surroundings

MACS = {"blue": "02:00:00:00:00:0b", "red": "02:00:00:00:00:0c"}
CLUSTER = "02:00:00:00:00:01"
BOTH = {"vpcs": [{"name": "blue"}, {"name": "red"}]}


def told(**spec: Any) -> Any:
    """Return the network configuration of a server's guest, None for none."""
    plan = planning.plan(a_server(**spec), Children.of([]), Surroundings(derived_mac=CLUSTER, vpc_macs=MACS), Site())
    objects = {apply.key: apply.manifest for stage in plan.stages for apply in stage}
    data = objects["Secret", "web-cloud-init"]["data"]
    (volume,) = (one for one in planned_volumes(plan, spec) if one["name"] == "cloud-init")
    assert ("networkDataSecretRef" in volume["cloudInitNoCloud"]) is ("networkdata" in data)
    return yaml.safe_load(base64.b64decode(data["networkdata"])) if "networkdata" in data else None


def planned_volumes(plan: Any, spec: dict[str, Any]) -> list[dict[str, Any]]:
    machines = [apply for stage in plan.stages for apply in stage if apply.key[0] == "VirtualMachine"]
    return machines[0].manifest["spec"]["template"]["spec"]["volumes"]


def test_with_the_cluster_nic_alone_cloud_init_decides() -> None:
    assert told(network={"public": True}) is None
    assert told(network={"disableK8sNetworking": True}) is None


def test_a_vpc_is_asked_for_dhcp_and_nobody_waits_for_it_and_it_takes_nothing_over() -> None:
    config = told(network=BOTH)
    assert config["version"] == 2
    cluster, blue, red = config["ethernets"].values()
    assert cluster == {"match": {"macaddress": CLUSTER}, "dhcp4": True}
    overrides = {"route-metric": 1001, "use-dns": False}
    wanted = {"match": {"macaddress": MACS["blue"]}, "dhcp4": True, "optional": True, "dhcp4-overrides": overrides}
    assert blue == wanted
    assert red["dhcp4-overrides"]["route-metric"] == 1002


def test_without_a_cluster_nic_a_vpc_says_where_names_are_asked() -> None:
    (blue, _) = told(network={**BOTH, "disableK8sNetworking": True})["ethernets"].values()
    assert blue["dhcp4-overrides"] == {"route-metric": 1000} and blue["optional"] is True


@pytest.mark.parametrize("network", [BOTH, {"public": True}])
def test_a_network_in_the_manifests_cloud_init_is_the_configuration(network: dict[str, Any]) -> None:
    ethernets = {"eth1": {"addresses": ["192.168.7.1/24"]}}
    text = "network: {version: 2, ethernets: {eth1: {addresses: [192.168.7.1/24]}}}\nruncmd: [a]\n"
    assert told(network=network, cloudInit=text) == {"version": 2, "ethernets": ethernets}


def test_a_network_that_is_no_configuration_is_refused() -> None:
    server = a_server(cloudInit="network: none")
    plan = planning.plan(server, Children.of([]), Surroundings(derived_mac=CLUSTER), Site())
    assert plan.status.conditions[0].reason == "InvalidCloudInit"
    assert "network is no mapping" in plan.status.conditions[0].message
