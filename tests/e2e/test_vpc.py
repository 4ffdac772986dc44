"""Servers on VPCs: the firewall server that the seed recommends, the order of NICs, and walls between networks.

The firewall is that of ``examples/firewall.yaml``: its script runs in the guest as it is printed there.
"""

from __future__ import annotations

import base64
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from e2e.conftest import IMAGE
from e2e.ears import ears
from e2e.frames import udp
from e2e.manifests import a_server
from harness.guest import image as guest_image
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.internet import Internet
    from e2e.product import Product

pytestmark = pytest.mark.timeout(900)

EXAMPLE = Path(__file__).parents[2] / "examples" / "firewall.yaml"
NETWORK_CONFIG = '{{"cniVersion": "0.3.1", "type": "bridge", "mtu": {}}}'
VPCS = ("office", "red", "green", "white")
PUBLISHED = {"public": True, "tcp": {"ports": [22]}}


def a_vpc(name: str, *, namespace: str = "default", mtu: int = 1500) -> dict[str, Any]:
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"config": NETWORK_CONFIG.format(mtu)},
    }


def on(*vpcs: str) -> dict[str, Any]:
    return {"vpcs": [{"name": vpc} for vpc in vpcs]}


def script() -> str:
    """Return the firewall's script as the example has it."""
    documents = yaml.safe_load_all(EXAMPLE.read_text())
    (config,) = [yaml.safe_load(one["spec"]["cloudInit"]) for one in documents if one["spec"].get("cloudInit")]
    return str(config["write_files"][0]["content"])


@pytest.fixture(scope="module")
def office(product: Product) -> Iterator[Product]:
    """`firewall` on the cluster network and the VPC office, `inside` on office alone, `alone` on none, and `shop`."""
    image = guest_image.build_router()
    files = ["--kernel", str(image.kernel), "--initrd", str(image.initrd), "--command-line", image.command_line]
    product.vs("image", "add", str(image.disk), "--name", "router", *files)
    big: dict[str, Any] = {"resources": {"cpu": {"count": 1}, "memory": "128Mi"}}
    product.apply(
        a_server("firewall", image="router", network={**PUBLISHED, **on("office")}, **big),
        a_server("inside", network={"disableK8sNetworking": True, **on("office")}),
        a_server("shop", network=PUBLISHED),
        a_server("alone", network={"disableK8sNetworking": True}),
    )
    for name in ("firewall", "inside"):
        product.wait_reason(name, "WaitingForNetwork")
    assert "NetworkAttachmentDefinition default/office" in product.condition("inside")["message"]
    product.apply(*(a_vpc(name, mtu=9000 if name == "office" else 1500) for name in VPCS))
    try:
        for name in ("firewall", "inside", "shop"):
            product.wait_ready(name, seconds=240)
        text = base64.b64encode(script().encode()).decode()
        firewall = product.guest("firewall")
        firewall.run(f"echo {text} | base64 -d >/tmp/firewall; chmod +x /tmp/firewall")
        firewall.run("/tmp/firewall </dev/null >/tmp/log 2>&1 & sleep 1; cat /tmp/log")
        yield product
    finally:
        product.delete("vs", "firewall", "inside", "shop", "alone")
        product.delete("network-attachment-definitions", *VPCS)
        product.vs("image", "remove", "router")


def test_a_server_on_a_vpc_alone_reaches_out_through_the_firewall(office: Product, client: Internet) -> None:
    inside, firewall = office.guest("inside"), office.guest("firewall")
    address = inside.address()
    assert ipaddress.ip_address(address) in ipaddress.ip_network("192.168.7.0/24"), "the firewall's lease"
    assert inside.run("cat /sys/class/net/*/type | grep -c '^1$'") == "1", "the VPC's NIC is its only one"
    shop = office.get("vs", "shop")["status"]["network"]["externalIP"]
    assert inside.probe("tcp", shop, 22, seconds=10).result == "open"
    with client.listening("tcp", 7790) as listener:
        assert inside.probe("tcp", client.address, 7790, seconds=10).result == "open"
        assert set(listener.peers()).isdisjoint({address, firewall.address()})
    cluster_ip = office.get("service", "shop-tcp")["spec"]["clusterIP"]
    assert cluster_ip in inside.run("nslookup -type=a shop-tcp.default.svc.cluster.local")
    assert inside.probe("tcp", cluster_ip, 22, seconds=10).result == "open"


def test_a_server_on_a_vpc_alone_has_no_address_service_or_name(office: Product) -> None:
    server = office.get("vs", "inside")
    network = server["status"]["network"]
    assert network["internalIP"] == network["externalIP"] == network["serviceIP"] == ""
    assert not office.get("service", "inside") and not office.get("service", "inside-tcp")
    message = office.condition("inside")["message"]
    assert "on VPC office only (disableK8sNetworking): no address, Service or cluster DNS name" in message
    answer = office.guest("shop").attempt("nslookup -type=a inside.default.svc.cluster.local")
    assert "NXDOMAIN" in answer.output
    for asked in ({"tcp": {"ports": [22]}}, {"directAttachLoadBalancerIP": True}, {"headless": True}):
        words = office.refused(a_server("refused", network={"disableK8sNetworking": True, **asked}))
        assert "disableK8sNetworking leaves no cluster NIC" in words


def test_a_server_without_any_network_has_no_nic_and_says_what_that_means(office: Product) -> None:
    office.wait_ready("alone", seconds=240)
    alone = office.guest("alone").wait_ready()
    assert alone.run("cat /sys/class/net/*/type") == "772", "the loopback is all it has"
    assert alone.run("cat /sys/bus/pci/devices/*/class").split().count("0x020000") == 0, "nor is there another card"
    network = office.get("vs", "alone")["status"]["network"]
    assert network["internalIP"] == network["externalIP"] == network["serviceIP"] == ""
    assert not office.get("vmi", "alone")["status"].get("interfaces")
    assert not any(one["metadata"]["name"].startswith("alone") for one in office.objects("service"))
    message = office.condition("alone")["message"]
    assert "without any network card (disableK8sNetworking): no address, Service or cluster DNS name" in message

    def taps() -> list[str]:
        return [one["name"] for one in office.inventory() if one["kind"] == "tap"]

    # A guest that an earlier test deleted has its grace period to end, and its card as long.
    eventually(lambda: len(taps()) == 4, what=lambda: f"the cards of the three others alone: {taps()}", seconds=60)
    answer = office.guest("shop").attempt("nslookup -type=a alone.default.svc.cluster.local")
    assert "NXDOMAIN" in answer.output
    words = office.refused(a_server("refused", network={"disableK8sNetworking": True, "floatingIPs": ["web"]}))
    assert "disableK8sNetworking leaves no cluster NIC" in words


def test_the_nics_have_the_macs_that_the_instance_shows_and_the_vpcs_mtu(office: Product) -> None:
    shown = office.get("vmi", "firewall")["status"]["interfaces"]
    assert [one["name"] for one in shown] == ["default", "vpc-0"] and "ipAddress" not in shown[1]
    firewall = office.guest("firewall")
    for number, one in enumerate(shown):
        assert firewall.run(f"cat /sys/class/net/eth{number}/address") == one["mac"]
    assert firewall.run("cat /sys/class/net/eth1/mtu") == "9000"
    assert office.guest("inside").run("cat /sys/class/net/eth0/mtu") == "9000"
    office.guest("inside").run("ping -c 1 -W 10 -s 8900 192.168.7.1")


def test_the_firewall_spoofs_no_more_on_its_cluster_nic_than_anybody(office: Product, client: Internet) -> None:
    firewall = office.guest("firewall")
    own, other = firewall.address(), office.guest("inside").address()
    macs = [firewall.run(f"cat /sys/class/net/eth{number}/address") for number in (0, 1)]
    honest: dict[str, Any] = {
        "source_mac": macs[0],
        "target_mac": "ee:ee:ee:ee:ee:ee",
        "source": own,
        "target": client.address,
        "ports": (4000, 7791),
        "payload": b"an honest datagram",
    }
    lie: dict[str, Any] = {"payload": b"a lie of the firewall"}
    with ears(client.namespace, "eth0") as arriving:
        frames: list[dict[str, Any]] = [{**lie, "source": other}, {**lie, "source_mac": macs[1]}, {}]
        firewall.send_frames(*(udp(**{**honest, **changed}) for changed in frames))
        arriving.wait(lambda frame: b"an honest datagram" in frame, what="the honest datagram arriving")
        assert not arriving.heard(lie["payload"])


def test_what_is_dropped_on_a_vpc_is_told_by_vs_metrics_for_its_server_and_vpc(office: Product) -> None:
    firewall, inside = office.guest("firewall"), office.guest("inside")
    target = firewall.run("cat /sys/class/net/eth1/address")
    frame = udp(
        source_mac="02:00:00:00:00:99",
        target_mac=target,
        source=inside.address(),
        target="192.168.7.1",
        ports=(4000, 7792),
        payload=b"a lie",
    )
    inside.send_frames(frame)
    figure = (
        'virtualserver_guest_dropped_packets_total{namespace="default",server="inside",vpc="office",reason="mac"} 1'
    )
    assert figure in office.vs("metrics").splitlines()


def test_a_vpc_that_is_deleted_in_use_lives_and_one_of_that_name_joins_it_again(office: Product) -> None:
    office.delete("network-attachment-definitions", "office")
    told = "NetworkAttachmentDefinition default/office was deleted: the network is there until the machine stops"
    office.wait_message("inside", told)
    inside = office.guest("inside")
    inside.run("ping -c 1 -W 10 192.168.7.1")
    office.apply(a_vpc("office", mtu=1400))
    office.wait_message("inside", "MTU 1400 instead of 9000 from the next start on")
    office.apply(a_vpc("office", mtu=9000))
    eventually(lambda: "office was deleted" not in office.condition("inside")["message"], what="no word of it")
    eventually(lambda: "MTU" not in office.condition("inside")["message"], what="no word of another MTU")
    inside.run("ping -c 1 -W 10 192.168.7.1")


def test_the_nics_stand_in_the_lists_order_and_keep_their_macs_by_vpc(office: Product) -> None:
    """With white put between red and green: red, white, green; taken out again: as before."""

    def cards() -> list[str]:
        """Return the MACs of the cards that the guest has, in their order."""
        seen = office.guest("order").run("for nic in /sys/bus/pci/devices/*/virtio*/net/*; do cat $nic/address; done")
        return seen.split()

    def macs(*vpcs: str, before: str = "") -> list[str]:
        had = cards() if before else []
        office.apply(a_server("order", image=IMAGE, network={**PUBLISHED, **on(*vpcs)}))
        if before:
            told = "spec.network.vpcs: takes effect at the next start"
            office.wait_message("order", told, kind="FullyApplied")
            assert cards() == had, "until then the guest has the cards that it had"
            office.power("order", "restart")
            eventually(
                lambda: office.get("vmi", "order").get("metadata", {}).get("uid") not in (None, before), what="it"
            )
        office.wait_ready("order", seconds=240)
        shown = [one["mac"] for one in office.get("vmi", "order")["status"]["interfaces"]]
        assert cards() == shown
        return shown

    def uid() -> str:
        return office.get("vmi", "order")["metadata"]["uid"]

    try:
        cluster, red, green = macs("red", "green")
        assert len({cluster, red, green}) == 3
        first = uid()
        again, red_again, white, green_again = macs("red", "white", "green", before=first)
        assert [again, red_again, green_again] == [cluster, red, green] and white not in (cluster, red, green)
        assert macs("red", "green", before=uid()) == [cluster, red, green]
    finally:
        office.delete("vs", "order")


def test_a_vpc_of_that_name_in_another_namespace_is_another_network(office: Product) -> None:
    office.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "beside"}})
    network = {"disableK8sNetworking": True, **on("office")}
    office.apply(a_vpc("office", namespace="beside"), a_server("spy", namespace="beside", network=network))
    try:
        office.wait_ready("spy", namespace="beside", seconds=240)
        spy, firewall = office.guest("spy", namespace="beside"), office.guest("firewall")
        spy.run("ip address add 192.168.7.66/24 dev eth0")
        spy.start_sniffing()
        assert spy.attempt("ping -c 2 -W 2 192.168.7.1").status != 0
        assert firewall.attempt("ping -c 2 -W 2 192.168.7.66").status != 0
        mac = firewall.run("cat /sys/class/net/eth1/address").replace(":", "")
        assert not any(mac in frame.hex() for frame in spy.sniffed())
    finally:
        office.delete("namespace", "beside")
