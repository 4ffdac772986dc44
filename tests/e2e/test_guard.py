"""A guest that misbehaves reaches nobody; what is its own passes."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from e2e.conftest import a_product
from e2e.frames import arp_reply, udp
from e2e.manifests import a_server
from e2e.product import Product, eventually

if TYPE_CHECKING:
    from collections.abc import Generator

    from e2e.internet import Internet
    from guest.driver import Guest

PORT = 7900


@pytest.fixture(scope="module")
def pair(product: Product) -> Generator[tuple[Product, Guest, str]]:
    """The misbehaving guest, and the address of another one, both with TCP 22 published."""
    network = {"public": True, "tcp": {"ports": [22]}}
    product.apply(a_server("mallory", network=network), a_server("victim", network=network))
    for name in ("mallory", "victim"):
        product.wait_ready(name)
    yield product, product.guest("mallory"), product.get("vs", "victim")["status"]["network"]["internalIP"]
    product.delete("vs", "mallory", "victim")


def _gateway_mac(guest: Guest) -> str:
    guest.run("ping -c1 -W2 169.254.1.1")
    return guest.run("ip neigh show 169.254.1.1 | sed 's/.*lladdr \\([0-9a-f:]*\\).*/\\1/'")


@pytest.mark.parametrize("lie", ["none", "address", "mac"])
def test_a_datagram_with_anothers_address_or_mac_never_leaves(
    pair: tuple[Product, Guest, str], client: Internet, lie: str
) -> None:
    _product, mallory, victim = pair
    own_mac = mallory.run("cat /sys/class/net/eth0/address")
    frame = udp(
        source_mac="02:00:00:00:00:99" if lie == "mac" else own_mac,
        target_mac=_gateway_mac(mallory),
        source=victim if lie == "address" else mallory.address(),
        target=client.address,
        ports=(4000, PORT),
        payload=b"hello",
    )
    with client.listening("udp", PORT) as listener:
        mallory.send_frames(frame, frame, frame)
        assert bool(listener.peers()) == (lie == "none"), "only the honest datagram may arrive"


def test_an_arp_reply_for_anothers_address_is_not_believed(pair: tuple[Product, Guest, str]) -> None:
    product, mallory, victim = pair
    own_mac = mallory.run("cat /sys/class/net/eth0/address")
    gateway = _gateway_mac(mallory)
    claim = arp_reply(source_mac=own_mac, target_mac=gateway, claims=victim, told="169.254.1.1")
    mallory.send_frames(*[claim] * 3)
    neighbours = json.loads(
        subprocess.run(
            ["ip", "-n", product.namespace, "-j", "neigh", "show"], check=True, capture_output=True, text=True
        ).stdout
    )
    assert not [entry for entry in neighbours if entry["dst"] == victim and entry.get("lladdr") == own_mac]
    assert [entry for entry in neighbours if entry.get("lladdr") == own_mac], "its own entry is there"


def test_a_guest_is_no_dhcp_server(pair: tuple[Product, Guest, str]) -> None:
    product, mallory, victim = pair
    other = product.guest("victim")
    own_mac, gateway = mallory.run("cat /sys/class/net/eth0/address"), _gateway_mac(mallory)
    other.start_sniffing()

    def offer(source_port: int, mark: bytes) -> bytes:
        ports = (source_port, 68)
        return udp(
            source_mac=own_mac, target_mac=gateway, source=mallory.address(), target=victim, ports=ports, payload=mark
        )

    mallory.send_frames(offer(67, b"an offer from nowhere"), offer(6767, b"an honest datagram"))
    eventually(
        lambda: any(b"an honest datagram" in frame for frame in other.sniffed()), what="the honest datagram", seconds=20
    )
    assert not any(b"an offer from nowhere" in frame for frame in other.sniffed())


@contextlib.contextmanager
def _listening_on_the_host() -> Generator[int]:
    """Listen on every address of the host, so that only the closed door keeps a guest out."""
    with socket.create_server(("0.0.0.0", 0)) as server:  # the point is to be reachable
        stop = threading.Event()

        def accept() -> None:
            server.settimeout(0.2)
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    server.accept()[0].close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _host_addresses() -> list[str]:
    links = json.loads(subprocess.run(["ip", "-j", "-4", "addr"], check=True, capture_output=True, text=True).stdout)
    return [entry["local"] for link in links for entry in link["addr_info"] if not entry["local"].startswith("127.")]


def test_the_door_to_the_host_is_closed(pair: tuple[Product, Guest, str], client: Internet) -> None:
    _product, mallory, _victim = pair
    with _listening_on_the_host() as port:
        assert client.probe("tcp", client.gateway, port)["result"] == "open", "the client outside may"
        for address in _host_addresses():
            assert mallory.probe("tcp", address, port, seconds=2).result != "open", address
        assert mallory.probe("tcp", "169.254.1.1", port, seconds=2).result != "open"


def test_etcd_and_the_api_server_do_not_answer_a_guest(pair: tuple[Product, Guest, str]) -> None:
    product, mallory, _victim = pair
    ports = json.loads((product.folder / "instance.json").read_text())["ports"]
    for address in [*_host_addresses(), "169.254.1.1", "10.96.0.1"]:
        for port in ports.values():
            assert mallory.probe("tcp", address, port, seconds=1).result != "open", (address, port)


def test_another_instances_guests_are_out_of_reach_but_its_published_addresses_answer(
    pair: tuple[Product, Guest, str],
) -> None:
    _product, mallory, _victim = pair
    with a_product("side") as other:
        other.apply(a_server("far", network={"public": True, "tcp": {"ports": [22]}}))
        network = other.wait_ready("far")["status"]["network"]
        eventually(
            lambda: mallory.probe("tcp", network["externalIP"], 22, seconds=3).result == "open",
            what="the published port of the other instance",
            seconds=30,
        )
        assert mallory.probe("tcp", network["internalIP"], 22, seconds=2).result != "open"
        assert mallory.probe("tcp", network["externalIP"], 23, seconds=2).result != "open"
        link = json.loads((other.folder / "instance.json").read_text())["ranges"]["link"]
        for host in (1, 2):
            address = str(_nth(link, host))
            assert mallory.probe("tcp", address, 22, seconds=2).result != "open", address


def _nth(network: str, host: int) -> object:
    import ipaddress

    return ipaddress.ip_network(network)[host]


def test_published_addresses_answer_a_guest_as_any_client(pair: tuple[Product, Guest, str]) -> None:
    product, mallory, _victim = pair
    for name in ("victim", "mallory"):
        address = product.get("vs", name)["status"]["network"]["externalIP"]
        assert mallory.probe("tcp", address, 22).result == "open", name
        assert mallory.probe("tcp", address, 23).result != "open", name
