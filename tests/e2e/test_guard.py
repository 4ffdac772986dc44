"""A guest that misbehaves reaches nobody; what is its own passes.

No assertion rests on silence alone: each lie is heard leaving the guest, and an honest frame that was sent after it on
the same way is heard arriving; each closed door is one that answers somebody else at that moment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import re
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from e2e.conftest import a_product
from e2e.ears import ears
from e2e.frames import BROADCAST, arp, router_advertisement, udp
from e2e.internet import Internet
from e2e.manifests import a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from e2e.product import Product
    from harness.guest.driver import Guest

pytestmark = pytest.mark.timeout(900)

PORT = 7900
GATEWAY = "169.254.1.1"
STRANGER_MAC = "02:00:00:00:00:99"
EVERY_NODE = "33:33:00:00:00:01"
LIE, TRUTH = b"a lie of mallory", b"an honest datagram"


@dataclasses.dataclass
class Party:
    """One guest, from inside and from the host's side."""

    name: str
    guest: Guest
    address: str
    published: str
    mac: str
    tap: str

    @classmethod
    def of(cls, product: Product, name: str) -> Party:
        guest, network = product.guest(name), product.get("vs", name)["status"]["network"]
        routes = json.loads(_run("ip", "-n", product.namespace, "-j", "route", "get", network["internalIP"]))
        mac = guest.run("cat /sys/class/net/eth0/address")
        return cls(name, guest, network["internalIP"], network["externalIP"], mac, routes[0]["dev"])


@dataclasses.dataclass
class Scene:
    """The liar and its neighbour in one instance, and the client outside."""

    product: Product
    mallory: Party
    victim: Party
    client: Internet

    @property
    def gateway_mac(self) -> str:
        links = json.loads(_run("ip", "-n", self.product.namespace, "-j", "link", "show", self.mallory.tap))
        return links[0]["address"]

    def datagram(self, target: str, payload: bytes, **lies: Any) -> bytes:
        """Return a datagram of mallory's, honest but for what is said otherwise."""
        own: dict[str, Any] = {"source_mac": self.mallory.mac, "target_mac": self.gateway_mac, "ports": (4000, PORT)}
        own |= {"source": self.mallory.address, "target": target, "payload": payload, **lies}
        return udp(**own)

    def nobody_hears(self, lie: bytes, *, target: str) -> None:
        """Send a lie and then an honest datagram to the target, and assert that only the latter arrives."""
        where = (self.client.namespace, "eth0") if target == self.client.address else (self._namespace, self.victim.tap)
        with ears(self._namespace, self.mallory.tap) as leaving, ears(*where) as arriving:
            self.mallory.guest.send_frames(lie, self.datagram(target, TRUTH))
            leaving.wait(lambda frame: LIE in frame, what="the lie leaving the guest")
            arriving.wait(lambda frame: TRUTH in frame, what="the honest datagram arriving")
            assert not arriving.heard(LIE)

    @property
    def _namespace(self) -> str:
        return self.product.namespace


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def scene(product: Product, client: Internet) -> Generator[Scene]:
    """Two servers with TCP 22 published."""
    network = {"public": True, "tcp": {"ports": [22]}}
    product.apply(a_server("mallory", network=network), a_server("victim", network=network))
    try:
        for name in ("mallory", "victim"):
            product.wait_ready(name)
        yield Scene(product, Party.of(product, "mallory"), Party.of(product, "victim"), client)
    finally:
        product.delete("vs", "mallory", "victim")


# What it sends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", ["victim's address", "client's address", "nobody's address", "own MAC changed"])
@pytest.mark.parametrize("outside", [True, False], ids=["to a client outside", "to another guest"])
def test_a_datagram_with_anothers_address_or_mac_arrives_nowhere(scene: Scene, lie: str, outside: bool) -> None:
    target = scene.client.address if outside else scene.victim.address
    lies = {
        "victim's address": {"source": scene.victim.address},
        "client's address": {"source": scene.client.address},
        "nobody's address": {"source": "10.99.99.99"},
        "own MAC changed": {"source_mac": STRANGER_MAC},
    }[lie]
    scene.nobody_hears(scene.datagram(target, LIE, **lies), target=target)


def test_anothers_mac_and_address_together_are_no_better(scene: Scene) -> None:
    lie = scene.datagram(scene.client.address, LIE, source_mac=scene.victim.mac, source=scene.victim.address)
    scene.nobody_hears(lie, target=scene.client.address)


def test_what_is_dropped_is_told_by_vs_metrics_for_its_server_and_reason(scene: Scene) -> None:
    def dropped() -> float:
        labels = {"namespace": "default", "server": "mallory", "reason": "mac"}
        found = json.loads(scene.product.vs("metrics", "-o", "json"))
        (family,) = (one for one in found if one["name"] == "virtualserver_guest_dropped_packets_total")
        return sum(sample["value"] for sample in family["samples"] if sample["labels"] == labels)

    before = dropped()
    scene.nobody_hears(scene.datagram(scene.victim.address, LIE, source_mac=STRANGER_MAC), target=scene.victim.address)
    assert dropped() > before
    text = scene.product.vs("metrics")
    assert 'virtualserver_guest_dropped_packets_total{namespace="default",server="mallory",reason="mac"} ' in text
    assert 'virtualserver_pool_addresses_held{pool="public"} ' in text


@pytest.mark.parametrize("broadcast", [False, True])
def test_a_guest_is_no_dhcp_server(scene: Scene, broadcast: bool) -> None:
    whom = {"target_mac": BROADCAST} if broadcast else {}
    offer = scene.datagram("255.255.255.255" if broadcast else scene.victim.address, LIE, ports=(67, 68), **whom)
    scene.nobody_hears(offer, target=scene.victim.address)


@pytest.mark.parametrize("target_mac", [EVERY_NODE, "the gateway's"])
def test_a_guest_is_no_ipv6_router(scene: Scene, target_mac: str) -> None:
    target = scene.gateway_mac if target_mac == "the gateway's" else target_mac
    offer = router_advertisement(source_mac=scene.mallory.mac, target_mac=target, mark=LIE)
    scene.nobody_hears(offer, target=scene.victim.address)
    assert not _run("ip", "-n", scene.product.namespace, "-6", "route", "show", "default").strip()


def test_arp_in_anothers_name_is_neither_answered_nor_believed(scene: Scene) -> None:
    mallory, victim = scene.mallory, scene.victim
    own: dict[str, Any] = {"frame_mac": mallory.mac, "sender_mac": mallory.mac, "sender": mallory.address}
    # Proxy ARP answers for any address, so that the address that is asked for tells whose question was answered.
    honest = arp(**own, asked="192.0.2.1")
    lies: dict[str, dict[str, Any]] = {
        "192.0.2.2": {"sender": victim.address},
        "192.0.2.3": {"sender": GATEWAY},
        "192.0.2.4": {"sender_mac": STRANGER_MAC},
        "192.0.2.5": {"frame_mac": STRANGER_MAC},
        "192.0.2.6": {"frame_mac": victim.mac, "sender_mac": victim.mac, "sender": victim.address},
    }
    claims = [
        arp(frame_mac=mallory.mac, sender_mac=mallory.mac, sender=address, asked=told, answers=True, target_mac=target)
        for address in (victim.address, GATEWAY)
        for told, target in ((GATEWAY, scene.gateway_mac), (address, BROADCAST))
    ]
    with ears(scene.product.namespace, mallory.tap) as tap, ears(scene.product.namespace, victim.tap) as theirs:
        mallory.guest.send_frames(*[arp(**(own | lie), asked=asked) for asked, lie in lies.items()], *claims)
        mallory.guest.send_frames(honest)
        tap.wait(lambda frame: _answers(frame, "192.0.2.1"), what="the answer to the honest question")
        for asked in lies:
            assert any(_asks(frame, asked) for frame in tap.frames()), f"the question for {asked} left the guest"
            assert not any(_answers(frame, asked) for frame in tap.frames()), asked
        mallory.guest.send_frames(scene.datagram(victim.address, TRUTH))
        theirs.wait(lambda frame: TRUTH in frame, what="the honest datagram arriving")
        assert not any(frame[12:14] == b"\x08\x06" and _octets(mallory.mac) in frame for frame in theirs.frames())
    for neighbour in json.loads(_run("ip", "-n", scene.product.namespace, "-j", "-4", "neigh", "show")):
        if neighbour["dst"] in (mallory.address, victim.address) and "lladdr" in neighbour:
            owner = mallory if neighbour["dst"] == mallory.address else victim
            assert (neighbour["dev"], neighbour["lladdr"]) == (owner.tap, owner.mac)
    assert "host=victim" in scene.client.probe("tcp", victim.published, 22)["answer"]


def _octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _asks(frame: bytes, asked: str) -> bool:
    return frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == _packed(asked)


def _answers(frame: bytes, asked: str) -> bool:
    return frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2" and frame[28:32] == _packed(asked)


def _packed(address: str) -> bytes:
    return ipaddress.IPv4Address(address).packed


# Where it knocks ----------------------------------------------------------------------------------------------------


Target = tuple[str, int]


def _open(guest: Guest, protocol: str, targets: Iterable[Target]) -> dict[Target, str]:
    """Return which of the targets answer the guest and what they say first; all are tried, in groups at once."""
    left, found = sorted(set(targets)), dict[Target, str]()
    while left:
        group, left = left[:16], left[16:]
        knocks = [f'(echo "{a} {p} $(agent connect {protocol} {a} {p} 3)") &' for a, p in group]
        for line in guest.run("\n".join([*knocks, "wait"]), seconds=90).splitlines():
            if match := re.match(r"(\S+) (\d+) open \S+ ?(.*)", line):
                found[match[1], int(match[2])] = match[3].strip()
    return found


def _open_of(host: Mapping[str, int], guest: Guest, protocol: str, targets: Iterable[Target]) -> set[Target]:
    """Return which targets answer the guest, without those that the host gave up meanwhile.

    Instances of other tests come and go: an address that was the host's is outside afterwards, where whatever is
    behind the uplink may take calls for addresses that nobody has. The next instance may have the same address since,
    on a link of its own.
    """
    found, now = set(_open(guest, protocol, targets)), _host_addresses()
    gone = {address for address, link in host.items() if now.get(address) != link}
    return {target for target in found if target[0] not in gone}


def _host_addresses() -> dict[str, int]:
    """Return the addresses of the host, each with the index of the link that has it."""
    links = json.loads(_run("ip", "-j", "-4", "addr"))
    found = ((entry["local"], link["ifindex"]) for link in links for entry in link["addr_info"])
    return {address: link for address, link in found if not address.startswith("127.")}


@contextlib.contextmanager
def _a_service_of_the_host(kind: socket.SocketKind) -> Generator[int]:
    """Answer on every address of the host, so that only the closed door keeps a guest out; yields the port."""
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("0.0.0.0", 0))  # the point is to be reachable
        server.settimeout(0.2)
        if kind == socket.SOCK_STREAM:
            server.listen(64)
        over = threading.Event()

        def answer() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    if kind == socket.SOCK_DGRAM:
                        server.sendto(b"here", server.recvfrom(100)[1])
                        continue
                    connection = server.accept()[0]
                    connection.sendall(b"here\n")
                    connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            thread.join()


def _answers_here(kind: socket.SocketKind, address: str, port: int) -> bool:
    """Return whether the port answers the host itself."""
    with socket.socket(socket.AF_INET, kind) as client:
        client.settimeout(3)
        try:
            client.connect((address, port))
            if kind == socket.SOCK_DGRAM:
                client.send(b"?")
                client.recv(100)
        except OSError:
            return False
        return True


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_door_to_the_host_is_closed(scene: Scene, protocol: str) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with _a_service_of_the_host(kind) as port, scene.client.listening(protocol, port):
        assert scene.client.probe(protocol, scene.client.gateway, port)["result"] == "open", "the client outside may"
        host = _host_addresses()
        doors = {address for address in host if _answers_here(kind, address, port)}
        link = json.loads((scene.product.folder / "instance.json").read_text())["ranges"]["link"][0]
        assert str(ipaddress.ip_network(link)[1]) in doors, "the host's end of the instance's own link is one"
        outside = (scene.client.address, port)
        tried = {(address, port) for address in (*doors, GATEWAY, "127.0.0.1")}
        answering = _open_of(host, scene.mallory.guest, protocol, {*tried, outside})
        assert answering == {outside}, "its own traffic passes"


def _our_listeners(product: Product) -> set[tuple[str, int]]:
    """Return address and port of every TCP listener of the control plane, the operator, the node and the console."""
    ours = {
        str(product.process(name)) for name in ("etcd", "kube-apiserver", "kube-controller-manager", "node", "console")
    }
    found: set[tuple[str, int]] = set()
    for line in _run("ss", "-Hltnp").splitlines():
        if ours & set(re.findall(r"pid=(\d+)", line)):
            address, _, port = line.split()[3].rpartition(":")
            found.add((address, int(port)))
    return found


def test_etcd_and_the_api_server_do_not_answer_a_guest(scene: Scene) -> None:
    ports = json.loads((scene.product.folder / "instance.json").read_text())["ports"]
    listeners = _our_listeners(scene.product)
    assert {port for _, port in listeners} > {ports["etcd"], ports["kube-apiserver"]}, "and the node's own"
    assert all(_answers_here(socket.SOCK_STREAM, address, port) for address, port in listeners), "they answer the host"
    cluster_address = scene.product.get("service", "kubernetes")["spec"]["clusterIP"]
    host = _host_addresses()
    doors = [*host, GATEWAY, "127.0.0.1", cluster_address]
    tried = {(address, port) for address in doors for _, port in listeners} | {(cluster_address, 443)}
    with scene.client.listening("tcp", PORT):
        outside = (scene.client.address, PORT)
        assert _open_of(host, scene.mallory.guest, "tcp", {*tried, outside}) == {outside}


def test_another_instances_guests_are_out_of_reach_but_its_published_addresses_answer(scene: Scene) -> None:
    mallory, block = scene.mallory.guest, ipaddress.ip_network(f"10.42.{scene.product.process('node') % 256}.0/24")
    # A pool where guests' addresses come from at first makes the other instance take another network for its guests:
    # an address that both instances have would show nothing.
    with a_product("side", "--private-pool", str(block)) as other:
        other.apply(a_server("far", network={"public": True, "tcp": {"ports": [22]}}))
        network = other.wait_ready("far")["status"]["network"]
        far, published = network["internalIP"], network["externalIP"]
        record = json.loads((other.folder / "instance.json").read_text())
        ours = json.loads((scene.product.folder / "instance.json").read_text())["ranges"]["guest"]
        assert not any(ipaddress.ip_address(far) in ipaddress.ip_network(network) for network in ours)
        node = str(ipaddress.ip_network(record["ranges"]["link"][0])[2])
        inside = Internet(other.namespace, node, "")
        with inside.listening("tcp", PORT):
            assert inside.probe("tcp", node, PORT)["result"] == "open"
            assert inside.probe("tcp", far, 22)["result"] == "open"
            assert subprocess.run(["ping", "-c1", "-W3", node], capture_output=True).returncode == 0, "the host may"
            tried = {(published, 22), (published, 23), (far, 22), (node, PORT), (node, 22)}
            eventually(lambda: (published, 22) in _open(mallory, "tcp", tried), what="the published port", seconds=60)
            # Whatever is behind the uplink may take calls for addresses that nobody has; it would not speak.
            spoke = {target: said for target, said in _open(mallory, "tcp", tried).items() if said}
            assert set(spoke) == {(published, 22)}
            assert "host=far" in spoke[published, 22]
        assert mallory.attempt(f"ping -c1 -W2 {node}").status != 0
        assert mallory.attempt(f"ping -c1 -W5 {scene.client.address}").status == 0, "its own traffic passes"


def test_published_addresses_answer_a_guest_as_any_client(scene: Scene) -> None:
    for party in (scene.victim, scene.mallory):
        assert f"host={party.name}" in scene.client.probe("tcp", party.published, 22)["answer"]
        assert f"host={party.name}" in scene.mallory.guest.probe("tcp", party.published, 22).answer
        assert scene.client.probe("tcp", party.published, 23)["result"] != "open"
        assert scene.mallory.guest.probe("tcp", party.published, 23).result != "open"


def test_its_own_traffic_passes(scene: Scene) -> None:
    guest = scene.mallory.guest
    for protocol in ("tcp", "udp"):
        with scene.client.listening(protocol, PORT):
            assert guest.probe(protocol, scene.client.address, PORT, payload="hello").result == "open"
    assert guest.attempt(f"ping -c1 -W5 {scene.client.address}").status == 0
    assert "host=victim" in guest.probe("tcp", scene.victim.address, 22).answer, "guests of one instance are neighbours"
