"""What a manifest's network becomes, by name."""

from __future__ import annotations

from typing import Any

import pytest

from harness.virtualservers import a_server
from virtualserver.plan.network import CLUSTER_NIC, NIC, LoadBalancer, ServerNetwork, network_of
from virtualserver.plan.sites.site import PoolChoice, Site

DERIVED = "02:00:00:00:00:01"
OF_VPCS = {"blue": "02:00:00:00:00:0b", "red": "02:00:00:00:00:0c"}
MAC = "a2:1f:ee:09:06:5d"
PUBLIC, PRIVATE = PoolChoice("public"), PoolChoice("private")


def the_network(**network: Any) -> ServerNetwork:
    return network_of(a_server(network={"macAddress": MAC, **network}), Site(), derived_mac=DERIVED, vpc_macs=OF_VPCS)


def test_ports_are_published_by_a_load_balancer_for_each_protocol() -> None:
    network = the_network(public=False, tcp={"ports": [443, 22]}, udp={"ports": [53]})
    tcp = LoadBalancer("web-tcp", "TCP", (443, 22), PRIVATE)
    assert network.load_balancers == (tcp, LoadBalancer("web-udp", "UDP", (53,), PRIVATE))
    assert not tcp.is_attached
    assert network.services == ("web-tcp", "web-udp")
    assert network.cluster_nic == NIC(CLUSTER_NIC, MAC)


def test_an_attached_address_is_that_of_the_nic() -> None:
    network = the_network(directAttachLoadBalancerIP=True)
    (balancer,) = network.load_balancers
    assert balancer == LoadBalancer("web-tcp", "TCP", (), PUBLIC) and balancer.is_attached
    assert network.nics == (NIC(CLUSTER_NIC, MAC, attached_to="web-tcp"),)


@pytest.mark.parametrize(
    ("asked", "headless"),
    [
        ({"public": False}, "web"),
        ({"public": True, "headless": True}, "web"),
        ({"public": True}, None),
        ({"public": False, "tcp": {"ports": [22]}}, None),
        ({"public": False, "headless": True, "tcp": {"ports": [22]}}, "web"),
        ({"public": True, "headless": True, "directAttachLoadBalancerIP": True}, "web"),
        ({"public": False, "disableK8sNetworking": True}, None),
        ({"public": False, "headless": True, "disableK8sNetworking": True}, None),
    ],
)
def test_who_has_no_address_or_asks_for_it_has_a_name(asked: dict[str, Any], headless: str | None) -> None:
    assert the_network(**asked).headless == headless


def test_without_the_cluster_network_there_is_no_cluster_nic_and_no_service() -> None:
    network = the_network(disableK8sNetworking=True, tcp={"ports": [22]})
    assert network.cluster_nic is None and network.nics == () and network.services == ()


def test_a_server_has_a_nic_for_each_vpc_in_the_manifests_order_after_that_of_the_cluster_network() -> None:
    blue, red = ({"name": name} for name in ("blue", "red"))
    on_blue = NIC("vpc-0", OF_VPCS["blue"], vpc="blue")
    network = the_network(vpcs=[blue])
    assert network.nics == (NIC(CLUSTER_NIC, MAC), on_blue) and network.vpcs == ("blue",)
    moved = the_network(vpcs=[red, blue]).nics
    assert moved[1:] == (NIC("vpc-0", OF_VPCS["red"], vpc="red"), NIC("vpc-1", on_blue.mac, vpc="blue"))
    alone = the_network(vpcs=[blue], disableK8sNetworking=True)
    assert alone.nics == (on_blue,) and alone.cluster_nic is None


def test_every_name_that_a_service_may_ever_have_is_known_whatever_is_asked_for() -> None:
    assert the_network().names == ("web-tcp", "web-udp", "web")


def test_floating_addresses_stand_in_the_manifests_order() -> None:
    floating = the_network(floatingIPs=["192.0.2.7", {"serviceName": "mail"}]).floating
    assert [str(item.address or item.service_name) for item in floating] == ["192.0.2.7", "mail"]


@pytest.mark.parametrize("text", ["A2-1F-EE-09-06-5D", "a2:1f:ee:09:06:5d", "A2:1F:EE:09:06:5D"])
def test_both_forms_mean_the_same_mac_address(text: str) -> None:
    assert the_network(macAddress=text).cluster_nic == NIC(CLUSTER_NIC, MAC)


def test_without_a_mac_address_one_follows_from_the_name() -> None:
    nic = network_of(a_server(), Site(), derived_mac=DERIVED, vpc_macs=OF_VPCS).cluster_nic
    assert nic and nic.mac == DERIVED
