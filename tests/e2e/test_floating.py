"""Floating addresses: whole addresses of users' Services that come to a server, and go to the next one.

Two servers and two Services serve all tests here; each test leaves them as it found them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from e2e.manifests import a_floating_service, a_server
from harness.fabric_world import is_in_time, is_reset
from harness.waiting import eventually
from virtualserver.fabric.kernel.namespace import Namespace
from virtualserver.plan.ownership import claim_name

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from e2e.internet import Internet
    from e2e.product import Product

FAR: Final = "100.98.77.0/24"
"""A network beyond the client, by a narrow link."""


class Street:
    """Two servers, each with the address of a Service, and a client outside."""

    def __init__(self, product: Product, client: Internet) -> None:
        self.product, self.client = product, client
        self.first, self.second = self.address("fip-a"), self.address("fip-b")

    def address(self, service: str) -> str:
        def found() -> str:
            ingress = self.product.get("service", service).get("status", {}).get("loadBalancer", {}).get("ingress")
            return ingress[0]["ip"] if ingress else ""

        return eventually(found, what=f"an address of {service}")

    def leaves_with(self, server: str, address: str) -> None:
        """Wait until the client sees a server's guest come with an address."""
        with self.client.listening("tcp", 7778) as listener:

            def is_seen() -> bool:
                assert self.product.guest(server).probe("tcp", self.client.address, 7778).result == "open"
                return listener.peers()[-1:] == [address]

            eventually(is_seen, what=f"{server} to leave with {address}")

    def name(self, server: str, *floating: object) -> None:
        """Have a server name these as its floating addresses, and nothing else."""
        network = {"public": True, "floatingIPs": list(floating)}
        self.product.apply(a_server(server, network=network))

    def held(self, server: str) -> dict[str, str]:
        return self.product.get("vs", server)["status"]["network"]["floatingIPs"]

    def wait_held(self, server: str, *services: str) -> None:
        """Wait until a server is Ready with the addresses of these Services and no others."""
        eventually(
            lambda: set(self.held(server)) == set(services), what=lambda: f"{server}: {self.held(server)}", seconds=240
        )
        self.product.wait_ready(server, seconds=240)
        self.product.one_owner()

    def says(self, address: str, port: int, protocol: str = "tcp") -> str:
        answer = self.client.probe(protocol, address, port, seconds=5)
        return str(answer.get("answer") or answer["result"])

    @contextlib.contextmanager
    def connected(self, address: str, port: int) -> Generator[socket.socket]:
        """Be connected, from the client outside, to a port that talks."""
        connection = Namespace(self.client.namespace).call(socket.socket)
        with connection:
            connection.settimeout(10)
            connection.connect((address, port))
            assert connection.recv(1000)
            yield connection


@pytest.fixture(scope="module")
def street(product: Product, client: Internet) -> Iterator[Street]:
    product.apply(a_floating_service("fip-a"), a_floating_service("fip-b"))
    street = Street(product, client)
    street.name("flo1", {"serviceName": "fip-a"})
    street.name("flo2", "fip-b")
    for server in ("flo1", "flo2"):
        product.wait_ready(server, seconds=180)
        guest = product.guest(server)
        guest.serve("tcp", 7001)
        guest.serve("udp", 7002)
    yield street
    product.delete("vs", "flo1", "flo2")
    assert street.address("fip-a") == street.first, "a Service of a user outlives every server"
    product.delete("service", "fip-a", "fip-b")


def test_everybody_reaches_the_whole_address_and_is_seen_as_who_it_is(street: Street) -> None:
    """From outside, the host, a neighbour, another that floats, and the guest itself; and what it sends leaves so."""
    product, client = street.product, street.client
    one, two = product.guest("flo1"), product.guest("flo2")
    own = {name: product.get("vs", name)["status"]["network"]["internalIP"] for name in ("flo1", "flo2")}
    assert street.held("flo1") == {"fip-a": street.first}
    assert client.address in street.says(street.first, 7001)
    assert client.address in street.says(street.first, 7002, "udp")
    assert client.pings(street.first) and client.pings(street.second)
    assert street.says(street.first, 7009) == "refused", "by the guest itself: every port comes to it"
    with client.listening("tcp", 7777) as listener:
        for guest, address in ((one, street.first), (two, street.second)):
            assert guest.probe("tcp", client.address, 7777).result == "open"
            assert listener.peers() == [address]
    assert own["flo2"] in two.probe("tcp", street.first, 7001).answer, "between servers nothing is translated"
    assert own["flo1"] in one.probe("tcp", street.second, 7001).answer
    assert own["flo1"] in one.probe("tcp", own["flo2"], 7001).answer
    assert one.probe("tcp", street.first, 7001).result == one.probe("udp", street.first, 7002).result == "open"
    assert one.attempt(f"ping -c 1 -W 3 {street.first}").status == 0
    with socket.create_connection((street.first, 7001), timeout=5) as connection:
        assert b"." in connection.recv(1000), "a process of the host"
    product.one_owner()


def test_a_narrow_path_is_heard_of_through_a_floating_address(street: Street) -> None:
    """An ICMP error that quotes what left with the floating address comes to the guest as what it sent."""
    client = street.client
    for command in (
        ("link", "add", "narrow", "type", "veth", "peer", "name", "beyond"),
        ("link", "set", "beyond", "up"),
        ("link", "set", "narrow", "mtu", "1300", "up"),
        ("route", "add", FAR, "dev", "narrow"),
    ):
        assert client.run("ip", *command).returncode == 0
    assert client.run("sysctl", "-qw", "net.ipv4.ip_forward=1").returncode == 0
    route = ["ip", "route", "add", FAR, "via", client.address]
    subprocess.run(route, check=True)
    try:
        guest = street.product.guest("flo1")

        def passes() -> bool:
            """Send what does not fit: it passes in fragments, once the guest knows how much does."""
            guest.attempt(f"ping -c 1 -W 1 -s 1400 {FAR.replace('.0/24', '.9')}")
            names, values = (
                line.split()[1:] for line in client.run("grep", "^Ip:", "/proc/net/snmp").stdout.splitlines()
            )
            return int(dict(zip(names, values, strict=True))["ForwDatagrams"]) > 0

        eventually(passes, what="the guest to know of the narrow path")
    finally:
        subprocess.run([*route[:2], "del", *route[3:]], check=True)
        client.run("ip", "link", "del", "narrow")


def test_a_client_hears_that_the_way_to_the_guest_is_narrower_than_its_own(street: Street) -> None:
    client, host_end = street.client, f"{street.client.namespace}-h"
    try:
        subprocess.run(["ip", "link", "set", host_end, "mtu", "9000"], check=True)
        assert client.run("ip", "link", "set", "eth0", "mtu", "9000").returncode == 0
        asked = client.run("ping", "-c", "1", "-W", "2", "-M", "do", "-s", "3000", street.first)
        (told,) = re.findall(r"mtu = (\d+)", asked.stdout + asked.stderr)
        fits = str(int(told) - 28)  # 20 bytes of IP and 8 of ICMP come before what ping sends
        assert client.run("ping", "-c", "1", "-W", "5", "-M", "do", "-s", fits, street.first).returncode == 0
    finally:
        subprocess.run(["ip", "link", "set", host_end, "mtu", "1500"], check=True)
        client.run("ip", "link", "set", "eth0", "mtu", "1500")


def test_ten_addresses_come_to_one_server(street: Street) -> None:
    """Named in each of the three ways: by an object, by a bare name, literally."""
    product, names = street.product, [f"fip-t{number}" for number in range(9)]
    product.apply(*(a_floating_service(name) for name in names))
    try:
        addresses = {name: street.address(name) for name in names}
        ways = [{"serviceName": name} for name in names[:3]], names[3:6], [addresses[name] for name in names[6:]]
        street.name("flo1", "fip-a", *(one for way in ways for one in way))
        street.wait_held("flo1", "fip-a", *names)
        assert street.held("flo1") == {"fip-a": street.first, **addresses}
        for address in addresses.values():
            assert street.client.address in street.says(address, 7001)
            assert street.client.pings(address)
    finally:
        street.name("flo1", {"serviceName": "fip-a"})
        street.wait_held("flo1", "fip-a")
        product.delete("service", *names)


def test_the_service_is_never_written_and_the_claim_is_written_once(street: Street) -> None:
    found = json.loads(street.product.kubectl("get", "service", "fip-a", "-o", "json", "--show-managed-fields"))
    managers = {(one["manager"], one.get("subresource", "")) for one in found["metadata"]["managedFields"]}
    assert {manager for manager, subresource in managers if not subresource} <= {"kubectl-client-side-apply"}, managers
    claim = json.loads(street.product.kubectl("get", "endpointslice", claim_name("fip-a"), "-o", "json"))
    assert claim["metadata"]["generation"] == 1 and not claim["endpoints"]
    assert [owner["name"] for owner in claim["metadata"]["ownerReferences"]] == ["flo1"]


def test_source_ranges_hold_for_every_port_and_ping_and_change_at_once(street: Street) -> None:
    product, client = street.product, street.client
    try:
        product.apply(a_floating_service("fip-a", loadBalancerSourceRanges=["192.0.2.0/24"]))
        eventually(lambda: not client.pings(street.first), what="the range to hold for ping")
        for protocol, port in (("tcp", 7001), ("udp", 7002)):
            assert client.probe(protocol, street.first, port)["result"] != "open"
        product.apply(a_floating_service("fip-a", loadBalancerSourceRanges=["192.0.2.0/24", f"{client.address}/32"]))
        eventually(lambda: client.pings(street.first), what="the client to be admitted")
        assert client.address in street.says(street.first, 7001)
    finally:
        product.apply(a_floating_service("fip-a", loadBalancerSourceRanges=[]))
    product.wait_ready("flo1")


def test_the_first_owner_keeps_it_stopped_and_over_restarts_and_the_second_goes_on_by_itself(street: Street) -> None:
    product = street.product
    street.name("flo2", "fip-b", "fip-a")
    assert "VirtualServer flo1" in product.wait_reason("flo2", "FloatingServiceClaimed")["message"]
    assert street.held("flo2") == {"fip-b": street.second}
    product.power("flo1", "stop")
    product.wait_reason("flo1", "VirtualServerStopped")
    for component in ("operator", "node"):
        pid = product.process(component)
        os.kill(pid, signal.SIGKILL)
        eventually(
            lambda component=component, pid=pid: product.process(component) not in (0, pid), what=component, seconds=240
        )
    assert product.wait_reason("flo2", "FloatingServiceClaimed", seconds=240)
    eventually(lambda: street.says(street.first, 7001) == "refused", what="nobody to answer for a stopped owner")
    assert street.held("flo1") == {"fip-a": street.first}, "a stopped owner keeps it"
    # The node says that it serves this once it is back.
    eventually(lambda: product.power("flo1", "start"), what="the node to take a start", seconds=240)
    street.wait_held("flo1", "fip-a")
    product.guest("flo1").serve("tcp", 7001)
    product.guest("flo1").serve("udp", 7002)
    with street.connected(street.first, 7001) as moved, street.connected(street.second, 7001) as other:
        street.name("flo1")
        began = time.monotonic()
        there = {"fip-a": street.first, "fip-b": street.second}
        eventually(lambda: street.held("flo2") == there, what="flo2 to have both")
        eventually(lambda: "." in street.says(street.first, 7001), what="flo2 to answer")
        assert is_in_time(time.monotonic() - began, within=2), "with the second that a probe takes to start"
        assert is_reset(moved), "a flow never goes to the new owner"
        other.sendall(b"here")
        assert other.recv(100)
    street.wait_held("flo2", "fip-a", "fip-b")
    for order in (("fip-a", "fip-b"), ("fip-b", "fip-a")):
        street.name("flo2", *order)
        street.leaves_with("flo2", street.address(order[0]))
    street.name("flo2", "fip-b")
    street.name("flo1", {"serviceName": "fip-a"})
    street.wait_held("flo2", "fip-b")
    street.wait_held("flo1", "fip-a")
    street.name("flo2", "fip-a", "fip-b")
    product.wait_reason("flo2", "FloatingServiceClaimed")
    street.leaves_with("flo2", street.second)  # the first of its list that it has
    street.name("flo2", "fip-b")
    street.wait_held("flo2", "fip-b")
    assert "." in eventually(lambda: street.says(street.first, 7001), what="flo1 to answer again")


def test_a_literal_address_is_a_services_or_of_a_pool_that_is_open_to_the_namespace(street: Street) -> None:
    product = street.product
    street.name("flo1", street.first)
    street.wait_held("flo1", "fip-a")
    networks = {pool["name"]: pool["networks"] for pool in product.pools()}
    prefix = networks["private"][0].rpartition(".")[0]
    wanted, elsewhere = f"{prefix}.77", "192.0.2.77"
    street.name("flo1", street.first, wanted, elsewhere)
    product.wait_message("flo1", elsewhere)  # each Service is judged by itself, one after the other
    message = product.wait_reason("flo1", "AddressNotInPool")["message"]
    assert wanted in message and "an administrator opens one" in message
    site = product.folder / "site.yaml"
    try:
        site.write_text("pools: [{name: private, namespaces: [default]}]\n")
        product.wait_message("flo1", "may have one of private")
        street.name("flo1", street.first, wanted)
        street.wait_held("flo1", "fip-a", "flo1-f0")
        assert street.held("flo1")["flo1-f0"] == wanted
        assert street.client.address in street.says(wanted, 7001)
    finally:
        site.unlink(missing_ok=True)
    street.wait_held("flo1", "fip-a", "flo1-f0")  # what is held stays
    street.name("flo1", {"serviceName": "fip-a"})
    street.wait_held("flo1", "fip-a")
    eventually(lambda: not product.get("service", "flo1-f0"), what="the Service of ours to go")
    assert street.address("fip-a") == street.first


def test_a_service_that_leads_elsewhere_is_refused_and_a_forged_claim_counts_for_nothing(street: Street) -> None:
    product = street.product
    uid = product.get("vs", "flo2")["metadata"]["uid"]
    owner = {
        "apiVersion": "virtualservers.coreweave.com/v1alpha1",
        "kind": "VirtualServer",
        "name": "flo2",
        "uid": uid,
        "controller": True,
    }
    target = product.get("vs", "flo2")["status"]["network"]["internalIP"]
    labels: dict[str, Any] = {
        "kubernetes.io/service-name": "fip-c",
        "endpointslice.kubernetes.io/managed-by": "virtualserver-operator",
    }
    forged: dict[str, Any] = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": claim_name("fip-c"), "labels": labels, "ownerReferences": [owner]},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [target]}],
    }
    product.apply(a_floating_service("fip-c", selector={"virtualservers.coreweave.com/name": "flo2"}), forged)
    try:
        address = street.address("fip-c")
        street.name("flo1", "fip-a", "fip-c", "nothing", "flo2-tcp")
        message = product.wait_message("flo1", "selector that matches")
        assert "Service nothing does not exist" in message
        product.kubectl(
            "patch", "service", "fip-c", "--type=json", "-p", '[{"op": "remove", "path": "/spec/selector"}]'
        )
        street.name("flo1", "fip-a", "fip-c")
        street.wait_held("flo1", "fip-a", "fip-c")
        assert street.client.address in street.says(address, 7001)
        street.name("flo1", "fip-a")
        street.wait_held("flo1", "fip-a")
        forged["metadata"]["name"], forged["metadata"]["ownerReferences"] = "by-hand", []
        labels["endpointslice.kubernetes.io/managed-by"] = "somebody"
        product.apply(forged)
        street.name("flo1", "fip-a", "fip-c")
        assert "by-hand" in product.wait_reason("flo1", "FloatingServiceUnfit")["message"]
        assert street.says(address, 7001) == "refused"
        product.delete("endpointslice", "by-hand")
        street.wait_held("flo1", "fip-a", "fip-c")
    finally:
        street.name("flo1", {"serviceName": "fip-a"})
        street.wait_held("flo1", "fip-a")
        product.delete("service", "fip-c")


def test_a_selector_that_comes_later_takes_the_address_away_even_for_a_machine_that_is_stopped(
    street: Street,
) -> None:
    product, name = street.product, "virtualservers.coreweave.com/name"
    product.apply(a_floating_service("fip-l"), a_server("flo-off", running=False))
    try:
        address = street.address("fip-l")
        street.name("flo1", "fip-l", "fip-a")
        street.wait_held("flo1", "fip-l", "fip-a")
        street.leaves_with("flo1", address)
        product.wait_reason("flo-off", "VirtualServerStopped")
        product.apply(a_floating_service("fip-l", selector={name: "flo-off"}))
        product.wait_message("flo1", "selector that matches VirtualMachine flo-off")
        assert street.held("flo1") == {"fip-a": street.first}
        eventually(lambda: street.says(address, 7001) == "refused", what="the address to be the stopped machine's")
        street.leaves_with("flo1", street.first)
        product.delete("vs", "flo-off")
        street.wait_held("flo1", "fip-l", "fip-a")
        assert street.client.address in eventually(lambda: street.says(address, 7001), what="it to float again")
        street.leaves_with("flo1", address)
    finally:
        street.name("flo1", {"serviceName": "fip-a"})
        product.delete("vs", "flo-off")
        product.delete("service", "fip-l")
    street.wait_held("flo1", "fip-a")


def test_fault_16_a_port_that_a_service_publishes_on_a_floating_address_is_decided_by_it_alone(street: Street) -> None:
    product, client = street.product, street.client
    shared = {"metadata": {"annotations": {"metallb.io/allow-shared-ip": "k"}}}
    mine, others = [f"{client.address}/32"], ["203.0.113.0/24"]
    spare, admin = a_floating_service("fip-k", loadBalancerSourceRanges=mine), a_floating_service("fip-k-admin")
    admin["spec"] |= {
        "selector": {"kubevirt.io/domain": "flo1"},
        "ports": [{"port": 7001}],
        "loadBalancerSourceRanges": others,
    }
    for service in (spare, admin):
        service["metadata"] |= shared["metadata"]
    try:
        product.apply(spare)
        address = street.address("fip-k")
        street.name("flo1", "fip-a", "fip-k")
        eventually(lambda: client.address in street.says(address, 7001), what="all of it to float")
        product.apply(admin)
        eventually(lambda: street.says(address, 7001) == "refused", what="the port to be for its own clients only")
        assert client.pings(address), "the rest floats"
        spare["spec"]["loadBalancerSourceRanges"], admin["spec"]["loadBalancerSourceRanges"] = others, mine
        product.apply(spare, admin)
        eventually(lambda: client.address in street.says(address, 7001), what="the port to be for its own clients")
        eventually(lambda: not client.pings(address), what="the rest not to be for them")
    finally:
        product.delete("service", "fip-k-admin", "fip-k")
        street.name("flo1", {"serviceName": "fip-a"})
    street.wait_held("flo1", "fip-a")
