"""What the guest is told of its network cards."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from harness.virtualservers import a_machine, a_server, an_image, an_instance, owned
from virtualserver.plan import planning
from virtualserver.plan.children import Children
from virtualserver.plan.sites.site import Site
from virtualserver.plan.situation import Surroundings

MACS = {"blue": "02:00:00:00:00:0b", "red": "02:00:00:00:00:0c"}
CLUSTER = "02:00:00:00:00:01"
SEARCHED = {"use-domains": "true"}
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


def test_the_cluster_nic_takes_the_search_list_and_nothing_else_is_said_of_it() -> None:
    ethernets = {"eth0": {"match": {"macaddress": CLUSTER}, "dhcp4": True, "dhcp4-overrides": SEARCHED}}
    assert told(network={"public": True}) == {"version": 2, "ethernets": ethernets}


def test_without_a_nic_and_for_windows_cloud_init_decides() -> None:
    assert told(network={"disableK8sNetworking": True}) is None
    assert told(os={"type": "windows"}) is None


def test_a_vpc_is_asked_for_dhcp_and_nobody_waits_for_it_and_it_takes_nothing_over() -> None:
    config = told(network=BOTH)
    assert config["version"] == 2
    cluster, blue, red = config["ethernets"].values()
    assert list(config["ethernets"]) == ["eth0", "eth1", "eth2"]  # as the kernel names them: some renderers look there
    assert cluster == {"match": {"macaddress": CLUSTER}, "dhcp4": True, "dhcp4-overrides": SEARCHED}
    overrides = {"route-metric": 1001, "use-dns": False}
    wanted = {"match": {"macaddress": MACS["blue"]}, "dhcp4": True, "optional": True, "dhcp4-overrides": overrides}
    assert blue == wanted
    assert red["dhcp4-overrides"]["route-metric"] == 1002


def test_without_a_cluster_nic_a_vpc_says_where_names_are_asked() -> None:
    (blue, _) = told(network={**BOTH, "disableK8sNetworking": True})["ethernets"].values()
    assert blue["dhcp4-overrides"] == {"route-metric": 1000, **SEARCHED} and blue["optional"] is True


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


OWN = "network: {version: 2, ethernets: {eth1: {addresses: [192.168.7.1/24]}}}\n"


def waits_for_a_restart(before: dict[str, Any], now: dict[str, Any], *, with_network_data: bool = True) -> str:
    """Return what FullyApplied says of a server that was changed while its guest runs."""
    surroundings = Surroundings(source=an_image(), derived_mac=CLUSTER)
    made = [
        owned(dict(apply.manifest)) if apply.key[0] != "VirtualMachine" else apply.manifest
        for stage in planning.plan(a_server(**before), Children.of([]), surroundings, Site()).stages
        for apply in stage
    ]
    (machine,) = (one for one in made if one["kind"] == "VirtualMachine")
    template = machine["spec"]["template"]
    if not with_network_data:
        (seed,) = (one for one in template["spec"]["volumes"] if one["name"] == "cloud-init")
        del seed["cloudInitNoCloud"]["networkDataSecretRef"]
    running = a_machine()
    running["spec"] |= {"template": template}
    found = Children.of([*(one for one in made if one is not machine), running, an_instance(template)])
    status = planning.plan(a_server(**now), found, surroundings, Site()).status
    (condition,) = (one for one in status.conditions if one.type == "FullyApplied")
    return condition.message


def test_a_network_in_cloud_init_that_changes_while_the_guest_runs_is_named() -> None:
    other = OWN.replace("7.1", "7.2")
    for before, now in (({}, {"cloudInit": OWN}), ({"cloudInit": OWN}, {"cloudInit": other}), ({"cloudInit": OWN}, {})):
        assert "spec.cloudInit (network): takes effect at the next start" in waits_for_a_restart(before, now)
    assert "restart" not in waits_for_a_restart({"cloudInit": OWN}, {"cloudInit": OWN})


def test_a_guest_that_an_earlier_version_started_without_network_data_waits_for_no_restart() -> None:
    assert "restart" not in waits_for_a_restart({}, {}, with_network_data=False)
    assert "spec.cloudInit (network)" in waits_for_a_restart({}, {"cloudInit": OWN}, with_network_data=False)
