"""Ports that are published through a load balancer address: who reaches what, and as whom."""

from __future__ import annotations

import json
import time
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from e2e.manifests import a_server
from harness.fabric_world import is_in_time
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.internet import Internet
    from e2e.product import Product

PORTS = {"tcp": {"ports": [22, 443]}, "udp": {"ports": [3389]}}


@pytest.fixture(scope="module", params=[True, False], ids=["public", "private"])
def server(request: pytest.FixtureRequest, product: Product) -> Iterator[tuple[Product, str, bool]]:
    """A running server that publishes TCP 22 and 443 and UDP 3389, on an address of either pool."""
    public = bool(request.param)
    name = "web" if public else "intern"
    product.apply(a_server(name, network={"public": public, "headless": True, **PORTS}))
    product.wait_ready(name)
    guest = product.guest(name)
    for protocol, port in (("tcp", 443), ("udp", 3389), ("tcp", 8080), ("udp", 3390)):
        guest.serve(protocol, port)
    yield product, name, public
    product.delete("vs", name)


def _address(product: Product, name: str) -> str:
    return product.get("vs", name)["status"]["network"]["externalIP"]


def test_both_services_carry_the_one_address_of_the_status(server: tuple[Product, str, bool]) -> None:
    product, name, public = server
    address = _address(product, name)
    for suffix in ("tcp", "udp"):
        ingress = product.get("service", f"{name}-{suffix}")["status"]["loadBalancer"]["ingress"]
        assert [entry["ip"] for entry in ingress] == [address]
    pool = "public" if public else "private"
    networks = [ip_network(text) for entry in product.pools() if entry["name"] == pool for text in entry["networks"]]
    assert any(ip_address(address) in network for network in networks)


def test_published_ports_answer_and_the_server_sees_the_client(
    server: tuple[Product, str, bool], client: Internet
) -> None:
    product, name, _public = server
    address = _address(product, name)
    for protocol, port in (("tcp", 22), ("tcp", 443), ("udp", 3389)):
        seen = eventually(
            lambda protocol=protocol, port=port: str(client.probe(protocol, address, port).get("answer", "")),
            what=f"{protocol} {port}",
            seconds=30,
        )
        assert client.address in seen


def test_show_tells_which_published_ports_answer(server: tuple[Product, str, bool]) -> None:
    """Fault 50: a server was Ready, and nothing said that nobody listens on a port of it."""
    product, name, _public = server
    told = json.loads(product.vs("show", name, "-o", "json"))
    answers = {port["port"]: port["answer"] for port in told["ports"]}
    assert answers == {22: "answers", 443: "answers", 3389: "not asked, since it is UDP"}
    assert f"{name}.default.svc.cluster.local" in told["names"]
    assert "Ready" not in {concern["type"] for concern in told["concerns"]}
    assert "VirtualServerReady" in {event["reason"] for event in told["events"]}
    page = product.vs("show", name)
    assert f"running, address {_address(product, name)}" in page and "443/TCP" in page


def test_path_loses_nothing_between_the_address_and_a_guest_that_answers(server: tuple[Product, str, bool]) -> None:
    product, name, public = server
    told = json.loads(product.vs("path", name, "-o", "json"))
    assert told["loss"] is None
    outside = [one for one in told["addresses"] if one["address"] == _address(product, name)]
    assert {one["pool"] for one in outside} == {"public" if public else "private"}
    ports = {
        (port["port"], port["protocol"]): (port["element"], port["answer"]) for one in outside for port in one["ports"]
    }
    assert ports == {
        (22, "TCP"): ("open", "answers"),
        (443, "TCP"): ("open", "answers"),
        (3389, "UDP"): ("open", "not asked"),
    }
    (card,) = told["guest"]["cards"]
    assert card["heard"] == card["mac"] and card["lease"] and card["whole"]
    assert "nowhere that this machine can see" in product.vs("path", name)


def test_no_other_port_answers(server: tuple[Product, str, bool], client: Internet) -> None:
    product, name, _public = server
    address = _address(product, name)
    for protocol, port in (("tcp", 8080), ("udp", 3390), ("tcp", 3389), ("udp", 22), ("tcp", 80)):
        assert client.probe(protocol, address, port)["result"] != "open", (protocol, port)


def test_a_port_added_and_removed_takes_effect_without_a_restart(
    server: tuple[Product, str, bool], client: Internet
) -> None:
    product, name, public = server
    address = _address(product, name)
    more = {"public": public, "headless": True, "tcp": {"ports": [22, 443, 8080]}, "udp": {"ports": [3389]}}
    for network, is_open in ((more, True), ({**more, **PORTS}, False)):
        product.apply(a_server(name, network=network))
        began = time.monotonic()
        eventually(lambda is_open=is_open: client.takes(address, 8080) is is_open, what=f"8080, open: {is_open}")
        assert is_in_time(time.monotonic() - began)
    assert _address(product, name) == address


def test_open_connections_on_other_ports_live_while_ports_come_and_go_ten_to_none(
    server: tuple[Product, str, bool], client: Internet
) -> None:
    product, name, public = server
    address, internal = _address(product, name), product.guest(name).address()
    ten = [22, 443, *range(8080, 8088)]
    common = {"public": public, "headless": True}
    with client.talking(address, 443) as kept, client.talking(address, 22) as given_up:
        product.apply(a_server(name, network={**common, "tcp": {"ports": ten}, "udp": {"ports": [3389]}}))
        eventually(lambda: client.probe("tcp", address, 8080)["result"] == "open", what="8080 to open", seconds=30)
        assert kept.lives() and given_up.lives()
        product.apply(a_server(name, network={**common, "tcp": {"ports": [443]}}))
        eventually(lambda: not given_up.lives(), what="the connection to 22 to end", seconds=30)
        eventually(lambda: client.probe("udp", address, 3389)["result"] != "open", what="UDP to close", seconds=30)
        assert kept.lives() and _address(product, name) == address
        product.apply(a_server(name, network={"public": False, "headless": True}))
        eventually(lambda: not kept.lives(), what="the last connection to end", seconds=30)
    eventually(lambda: _address(product, name) == "", what="the address to be given back", seconds=30)
    assert product.guest(name).address() == internal, "nobody restarted it"
    product.apply(a_server(name, network={**common, **PORTS}))
    eventually(lambda: _address(product, name) == address, what="the address to come back to whom it was", seconds=60)
    eventually(lambda: client.probe("tcp", address, 443)["result"] == "open", what="443 to open", seconds=30)


def test_what_changes_at_the_next_start_is_named_and_the_running_guest_is_left_alone(
    server: tuple[Product, str, bool], client: Internet
) -> None:
    product, name, public = server
    guest, now = product.guest(name), {"public": public, "headless": True, **PORTS}
    other = {"macAddress": "a2:1f:ee:09:06:60", "dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"]}}

    def of_the_guest() -> str:
        return guest.run(
            "cat /etc/resolv.conf /sys/class/net/eth0/address /proc/sys/kernel/random/boot_id; ip -o -4 addr"
        )

    before = of_the_guest()
    with client.talking(_address(product, name), 443) as kept:
        product.apply(a_server(name, network=now | other))
        told = product.wait_message(name, "takes effect at the next start", kind="FullyApplied")
        assert all(f"spec.network.{field}" in told for field in other)
        product.wait_ready(name)
        assert of_the_guest() == before and kept.lives()
        product.apply(a_server(name, network=now))
        eventually(
            lambda: "next start" not in product.condition(name, "FullyApplied")["message"], what="nothing to wait for"
        )
        assert of_the_guest() == before and kept.lives()


def test_public_and_private_change_places_while_it_runs(server: tuple[Product, str, bool], client: Internet) -> None:
    product, name, public = server
    before, uid = _address(product, name), product.get("vmi", name)["metadata"]["uid"]
    product.apply(a_server(name, network={"public": not public, "headless": True, **PORTS}))
    eventually(lambda: _address(product, name) not in ("", before), what="an address of the other pool", seconds=30)
    after = _address(product, name)
    eventually(lambda: client.probe("tcp", after, 443)["result"] == "open", what="443 at the new address", seconds=60)
    assert client.probe("tcp", before, 443)["result"] != "open"
    product.apply(a_server(name, network={"public": public, "headless": True, **PORTS}))
    eventually(lambda: _address(product, name) == before, what="the former address", seconds=30)
    product.wait_ready(name)
    assert product.get("vmi", name)["metadata"]["uid"] == uid, "nobody restarted it"


def test_ports_to_direct_attach_and_back_change_nothing_until_the_next_start(
    server: tuple[Product, str, bool], client: Internet
) -> None:
    product, name, public = server
    address, internal = _address(product, name), product.guest(name).address()
    with client.talking(address, 443) as kept:
        product.apply(a_server(name, network={"public": public, "headless": True, "directAttachLoadBalancerIP": True}))
        told = "spec.network.directAttachLoadBalancerIP: takes effect at the next start"
        product.wait_message(name, told, kind="FullyApplied")
        product.wait_reason(name, "RestartRequired")
        for protocol, port in (("tcp", 22), ("udp", 3389)):
            assert client.probe(protocol, address, port, seconds=20)["result"] == "open", (protocol, port)
        assert client.probe("tcp", address, 8080, seconds=20)["result"] == "refused"
        network = product.get("vs", name)["status"]["network"]
        assert (network["internalIP"], network["externalIP"]) == (internal, address)
        assert kept.lives()
    _restart(product, name)
    assert told not in product.condition(name, "FullyApplied")["message"]
    assert _own_addresses(product, name) == {address}, "the address stays, and is the guest's own"
    assert _seen_by(client, product, name) == address
    product.guest(name).serve("tcp", 8080)
    assert client.probe("tcp", address, 8080)["result"] == "open", "every port"
    assert not product.get("service", f"{name}-udp")
    product.apply(a_server(name, network={"public": public, "headless": True, **PORTS}))
    product.wait_message(name, told, kind="FullyApplied")
    assert client.probe("tcp", address, 8080)["result"] == "open", "until its next start it is as it was"
    assert _own_addresses(product, name) == {address}
    _restart(product, name)
    assert told not in product.condition(name, "FullyApplied")["message"]
    assert _own_addresses(product, name) == {internal}, "its former address, since nobody else took it"
    assert _seen_by(client, product, name) not in (address, internal), "translated"
    assert _address(product, name) == address
    product.guest(name).serve("tcp", 443)
    assert client.probe("tcp", address, 443)["result"] == "open"
    product.guest(name).serve("tcp", 8080)
    assert client.probe("tcp", address, 8080)["result"] == "refused"


def _own_addresses(product: Product, name: str) -> set[str]:
    """Return the guest's own address as it has it, and as its status says."""
    return {product.guest(name).address(), product.get("vs", name)["status"]["network"]["internalIP"]}


def _seen_by(client: Internet, product: Product, name: str) -> str:
    """Return the address with which the guest's connections come."""
    with client.listening("tcp", 7777) as listener:
        assert product.guest(name).probe("tcp", client.address, 7777).result == "open"
        (peer,) = listener.peers()
    return peer


def _restart(product: Product, name: str) -> None:
    before = product.get("vmi", name)["metadata"]["uid"]
    product.power(name, "restart")
    eventually(
        lambda: product.get("vmi", name).get("metadata", {}).get("uid", before) != before,
        what="another run",
        seconds=120,
    )
    product.wait_ready(name)


def test_endpoint_slices_name_the_guest(server: tuple[Product, str, bool]) -> None:
    product, name, _public = server
    internal = product.get("vs", name)["status"]["network"]["internalIP"]
    slices = [
        entry
        for entry in product.objects("endpointslices")
        if entry["metadata"]["labels"]["kubernetes.io/service-name"] == f"{name}-tcp"
    ]
    assert [endpoint["addresses"] for entry in slices for endpoint in entry["endpoints"]] == [[internal]]


def test_headless_beside_ports_makes_the_name_resolve_to_the_guest(server: tuple[Product, str, bool]) -> None:
    """Fault 56: it was accepted, and had no effect."""
    product, name, _public = server
    internal = product.get("vs", name)["status"]["network"]["internalIP"]
    assert f"Address: {internal}\n" in _looked_up(product, name)
    assert product.get("service", name)["spec"]["clusterIP"] == "None"


def _looked_up(product: Product, name: str) -> str:
    return product.guest(name).run(f"nslookup -type=a {name}.default.svc.cluster.local") + "\n"
