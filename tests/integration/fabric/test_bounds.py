"""Faults 9, 10 and 36: what one guest makes of what all guests share, and what its neighbours still have meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
import signal
import socket
import struct
import threading
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import fabric_world as world
from harness.fabric_village import (
    EVERYBODY,
    FLOATING,
    MAC,
    OWN,
    Village,
    a_village,
    dhcp,
    ethernet,
    in_fragments,
    ipv4,
    udp,
)
from virtualserver.fabric.desired.state import PublishedPort, ServiceRules

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from virtualserver.fabric.dataplane import DataPlane

GATEWAY, NAME, PUBLIC = "169.254.1.1", "web.team.svc.cluster.local", "203.0.113.7"
INSIDE = ("nsenter", "--net=/run/netns/vs-t1")
FLOWS = 16_384


def question(name: str) -> bytes:
    words = b"".join(bytes([len(word)]) + word.encode() for word in name.split("."))
    return struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + words + b"\0" + struct.pack(">2H", 1, 1)


def resolves(node: world.Node, name: str, *, tcp: bool = False) -> bool:
    """Return whether the gateway answers a name within seconds."""
    with contextlib.suppress(OSError), node.socket(socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as asking:
        asking.settimeout(3)
        asking.connect((GATEWAY, 53))
        text = question(name)
        asking.send(struct.pack(">H", len(text)) + text if tcp else text)
        answer = asking.recv(1000)
        return answer[5 if tcp else 3] & 15 == 0
    return False


def tracked() -> int:
    """Return how many flows the kernel tracks in the namespace."""
    return int(world.sh(*INSIDE, "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))


def flows_stay() -> None:
    """Have flows that nobody answers stay: on a busy machine the first of many would end before the last ones begin."""
    world.sh(*INSIDE, "sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=600")


def counted(name: str) -> dict[str, int]:
    """Return what a set of the rules' own has counted, by its key."""
    text = world.sh(*INSIDE, "nft", "list", "set", "inet", "virtualserver", name)
    return {key: int(packets) for key, packets in re.findall(r"\"?([\w.-]+)\"? counter packets (\d+)", text)}


@contextlib.contextmanager
def flood(village: Village, packets: Iterable[bytes]) -> Generator[None]:
    """Send packets of the liar's to the gateway, one after the other, until the block ends."""
    over = threading.Event()

    def send() -> None:
        for packet in packets:
            if over.is_set():
                return
            with contextlib.suppress(BlockingIOError):
                village.liar.send(ethernet(packet, target=village.gateway_mac))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def calls(target: str, *, source: str = OWN) -> Iterator[bytes]:
    """Yield the first packets of flows, each another, without end."""
    for number in itertools.count():
        first, second = 1024 + number % 60_000, 1024 + number // 60_000 % 60_000
        yield ipv4(udp(b"", source=first, target=second), source=source, target=target)


async def names(plane: DataPlane, village: Village) -> None:
    await plane.set_service("names", ServiceRules(names={NAME: (ip_address(OWN),)}))
    world.eventually(lambda: resolves(village.victim, NAME), what="the name resolves")


async def test_fault_9_a_guest_that_opens_flows_without_end_leaves_the_tables_to_others(
    village: Village, plane: DataPlane
) -> None:
    await names(plane, village)
    flows_stay()
    # to an address that nobody has, so that nobody refuses it
    village.internet.run("ip", "route", "add", "blackhole", "192.0.2.0/24")
    with village.internet.serving(22), flood(village, calls("192.0.2.9")):
        world.eventually(lambda: tracked() > FLOWS - 100, what="the bound is met", seconds=60)
        before = counted("bounded").get("tap-2", 0)
        world.eventually(lambda: counted("bounded").get("tap-2", 0) > before + 1000, what="more is dropped")
        assert tracked() < FLOWS + 500
        assert village.victim.tcp(world.CLIENT_ADDRESS, 22)
        assert village.internet.connect(world.CLIENT_ADDRESS, 22).close() is None
        assert resolves(village.victim, NAME)
        assert resolves(village.victim, NAME, tcp=True)
        assert village.victim.dhcp()
        assert counted("bounded").keys() == {"tap-2"}
        assert await anext(plane.bound_changes()) == {"tap-2"}
        assert plane.has_met_bound(world.a_link(2))
        assert not plane.has_met_bound(world.a_link(3))
    timeout = world.sh(*INSIDE, "sysctl", "-n", "net.netfilter.nf_conntrack_tcp_timeout_established")
    assert int(timeout) < 3 * 3600


@pytest.mark.parametrize("card", ["floating", "attached"])
async def test_fault_9_the_bounds_hold_for_a_card_whose_address_floats_or_is_attached(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, card: str
) -> None:
    village = await a_village(plane, make_guest, internet, card)
    await names(plane, village)
    flows_stay()
    internet.run("ip", "route", "add", "blackhole", "192.0.2.0/24")
    internet.run("ip", "route", "replace", f"{FLOATING}/32", "via", world.HOST_ADDRESS)
    with internet.serving(22):
        with flood(village, calls("192.0.2.9", source=village.own)):
            world.eventually(lambda: counted("bounded").get("tap-2", 0) > 1000, what="its bound is met", seconds=60)
            assert tracked() < FLOWS + 500
            assert village.victim.tcp(world.CLIENT_ADDRESS, 22)
            assert resolves(village.victim, NAME)
        world.forget_flows("vs-t1")
        with internet.socket(socket.SOCK_RAW, protocol=socket.IPPROTO_UDP) as calling:
            for port, number in itertools.product((1, 2), range(9000)):
                calling.sendto(udp(b"", source=1024 + number, target=port), (FLOATING, 0))
        world.eventually(lambda: counted("bounded_to").get(village.own, 0) > 0, what="the bound of callers is met")
        assert tracked() < FLOWS + 500
        assert village.victim.tcp(world.CLIENT_ADDRESS, 22)


async def test_fault_9_the_bound_is_the_guests_own_and_is_free_again_when_its_flows_end(
    village: Village, plane: DataPlane
) -> None:
    flows_stay()
    with village.internet.serving(22), village.internet.serving(5001, protocol="udp"):
        open_before = village.liar.connect(world.CLIENT_ADDRESS, 22)
        with open_before:
            assert open_before.recv(100)
            with flood(village, calls("192.0.2.9")):
                # of the parts that flows fall into, the last one is full a while after the first
                world.eventually(lambda: not _connects(village.liar), what="no new flow is admitted", seconds=60)
            open_before.sendall(b"there?")
            assert open_before.recv(100) == b"there?", "a flow that is open goes on"
            world.forget_flows("vs-t1")
            world.eventually(lambda: _connects(village.liar), what="new flows are admitted again")


def _connects(node: world.Node, address: str = world.CLIENT_ADDRESS) -> bool:
    with contextlib.suppress(OSError):
        return bool(node.tcp(address, 22, seconds=1))
    return False


async def of_another_tenant(plane: DataPlane, make_guest: world.MakeGuest) -> world.Guest:
    guest = await make_guest(plane, 4)
    await plane.set_link("guest-4", dataclasses.replace(world.a_link(4), tenant=2))
    return guest


async def test_attack_one_tenants_guests_together_leave_the_table_to_others(
    village: Village, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    other = await of_another_tenant(plane, make_guest)
    village.internet.run("ip", "route", "add", "blackhole", "192.0.2.0/24")
    flows_stay()
    guests = [village.liar, village.victim, *[await make_guest(plane, number) for number in range(5, 9)]]
    with village.internet.serving(22), contextlib.ExitStack() as held:
        asking = [held.enter_context(guest.socket(socket.SOCK_DGRAM)) for guest in guests]
        for one in asking:
            one.bind(("", 0))

        ports = itertools.cycle(range(1024, 16_000))

        def more() -> bool:
            for port in itertools.islice(ports, 500):
                for number, one in enumerate(asking):
                    one.sendto(b"", (f"192.0.2.{10 + number}", port))
            return "tap-8" in counted("bounded") and tracked() > 50_000

        world.eventually(more, what="the tenant's share is used up", seconds=180)
        assert tracked() < 4 * FLOWS + 500
        assert _connects(other)


async def test_one_tenants_guests_leave_ports_to_an_address_outside_to_others(
    village: Village, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    other, elsewhere = await of_another_tenant(plane, make_guest), "192.0.2.50"
    flows_stay()
    village.internet.run("ip", "address", "add", f"{elsewhere}/32", "dev", "lo")
    with village.internet.serving(22), flood(village, calls(world.CLIENT_ADDRESS)):
        # All leave from the same 48,128 ports, which four guests of 16,384 flows each would have among them.
        world.eventually(lambda: not _connects(village.victim), what="the tenant's share is used up", seconds=60)
        world.eventually(lambda: "tap-3" in counted("bounded"), what="it is told so")
        assert _connects(other), "the others' share is free"
        assert _connects(village.victim, elsewhere), "and that to other addresses"


async def test_fault_9_strangers_that_call_one_guest_without_end_leave_the_tables_to_others(
    village: Village, plane: DataPlane
) -> None:
    ports = [PublishedPort(ip_address(PUBLIC), port, "UDP", ip_address(OWN), port) for port in (1, 2)]
    other = PublishedPort(ip_address(PUBLIC), 22, "TCP", ip_address("10.42.0.3"), 22)
    flows_stay()
    await plane.set_service("s", ServiceRules(frozenset([*ports, other]), frozenset({ip_address(PUBLIC)})))
    village.internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    with village.internet.socket(socket.SOCK_RAW, protocol=socket.IPPROTO_UDP) as calling, village.victim.serving(22):
        for port, number in itertools.product((1, 2), range(9000)):
            calling.sendto(udp(b"", source=1024 + number, target=port), (PUBLIC, 0))
        world.eventually(lambda: counted("bounded_to").get(OWN, 0) > 0, what="the bound is met")
        assert tracked() < FLOWS + 500
        assert village.internet.tcp(PUBLIC, 22)


async def test_fault_9_what_the_gateway_answers_is_not_tracked(village: Village, plane: DataPlane) -> None:
    await names(plane, village)
    world.forget_flows("vs-t1")
    world.eventually(lambda: tracked() == 0, what="flows of former tests to be forgotten")
    assert village.victim.dhcp()
    assert resolves(village.victim, NAME)
    assert tracked() == 0


async def test_a_flow_that_nobody_answers_counts_once(village: Village) -> None:
    with village.liar.socket(socket.SOCK_DGRAM) as streaming:
        streaming.connect(("192.0.2.9", 514))
        for number in range(3000):
            streaming.send(b"a line of a log")
            if number % 10 == 0:  # among others that are new
                with village.liar.socket(socket.SOCK_DGRAM) as other:
                    other.sendto(b"?", ("192.0.2.9", 515))
    shown = world.sh(*INSIDE, "nft", "-j", "list", "set", "inet", "virtualserver", "flows")
    assert "tap-2" in shown
    assert tracked() < 400
    assert not counted("bounded")


async def test_fault_10_a_guest_that_asks_for_names_without_end_leaves_the_resolver_to_others(
    village: Village, plane: DataPlane
) -> None:
    await names(plane, village)
    resolvers, folder = Path("/run/resolv.conf"), Path("/run/upstream")
    resolvers.write_text(f"nameserver {world.CLIENT_ADDRESS}\n")
    world.sh("mount", "--bind", str(resolvers), "/etc/resolv.conf")
    folder.mkdir()
    # One name is known there; of all others this resolver asks one that is silent, as a far one is for a while.
    (folder / "conf").write_text(
        f"no-resolv\nno-hosts\nport=53\nlisten-address={world.CLIENT_ADDRESS}\nbind-interfaces\nuser=root\n"
        f"address=/www.example.org/192.0.2.80\nserver=192.0.2.53\ndns-forward-max=10000\npid-file={folder}/pid\n"
    )
    village.internet.run("ip", "route", "add", "blackhole", "192.0.2.0/24")
    village.internet.run("dnsmasq", f"--conf-file={folder}/conf")
    try:
        await plane.start()
        world.eventually(lambda: resolves(village.victim, "www.example.org"), what="an outside name resolves")
        random = (
            ipv4(udp(question(f"{number:x}.example.com"), target=53), source=OWN, target=GATEWAY)
            for number in itertools.count()
        )
        with flood(village, random):
            for number in range(20):
                name = f"{number}.www.example.org"  # none that is in the cache
                world.eventually(lambda name=name: resolves(village.victim, name), what=name, seconds=20)
            assert resolves(village.victim, NAME)
    finally:
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
        world.sh("umount", "/etc/resolv.conf")


async def test_fault_10_a_guest_that_holds_connections_to_the_resolver_leaves_it_to_others(
    village: Village, plane: DataPlane
) -> None:
    await names(plane, village)
    held: list[socket.socket] = []
    try:
        for _ in range(25):  # dnsmasq serves 20
            asking = village.liar.socket(socket.SOCK_STREAM)
            held.append(asking)
            asking.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                asking.connect((GATEWAY, 53))
        assert resolves(village.victim, NAME, tcp=True)
    finally:
        for asking in held:
            asking.close()


async def test_attack_one_tenants_guests_that_hold_connections_to_the_resolver_leave_it_to_others(
    village: Village, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    await names(plane, village)
    other = await of_another_tenant(plane, make_guest)
    guests = [village.liar, village.victim, *[await make_guest(plane, number) for number in range(5, 42)]]
    with contextlib.ExitStack() as held:
        for asking in (held.enter_context(guest.socket(socket.SOCK_STREAM)) for guest in guests for _ in range(3)):
            asking.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                asking.connect((GATEWAY, 53))
        assert resolves(other, NAME, tcp=True)
        assert not resolves(village.liar, NAME, tcp=True), "its tenant has more than its share"
        assert resolves(village.liar, NAME), "datagrams are another matter"


async def test_attack_one_tenants_guests_that_ask_for_names_without_end_have_one_share(
    village: Village, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    await names(plane, village)
    other = await of_another_tenant(plane, make_guest)
    guests = [village.liar, village.victim, *[await make_guest(plane, number) for number in range(5, 12)]]
    text = question(NAME)
    with contextlib.ExitStack() as held:
        asking = [held.enter_context(guest.socket(socket.SOCK_DGRAM)) for guest in guests]
        for one, _ in itertools.product(asking, range(250)):  # within each one's own bound
            one.sendto(text, (GATEWAY, 53))
        traffic = await plane.traffic()
        dropped = sum(seen.dropped.get("dns_rate", 0) for seen in traffic.values())
        assert dropped > 0, "what the tenant asks beyond its share is dropped"
        # A datagram may be lost where the resolver has no turn for long, and every client asks again.
        assert any(resolves(other, NAME) for _ in range(3))


async def test_a_guest_that_asks_for_its_address_without_end_leaves_dhcp_to_others(village: Village) -> None:
    discover = ipv4(udp(dhcp(1), source=68, target=67), source="0.0.0.0", target="255.255.255.255")
    with flood(village, itertools.repeat(discover)):
        assert village.victim.dhcp()
    assert village.liar.dhcp(tries=10), "its own turn comes again"


async def test_a_guest_that_sends_parts_of_datagrams_without_end_leaves_the_memory_to_others(village: Village) -> None:
    datagram = udp(bytes(2000))
    parts = (in_fragments(datagram, 1448, source=OWN, target=world.CLIENT_ADDRESS)[0] for _ in itertools.count())
    with flood(village, parts):
        for _ in range(5):
            village.victim.run("ping", "-c1", "-W5", "-s3000", world.CLIENT_ADDRESS)


async def test_fault_36_a_guest_that_declines_its_address_has_it_again_at_once(village: Village) -> None:
    assert village.liar.dhcp()
    message = dhcp(4)[:-1] + bytes([50, 4]) + socket.inet_aton(OWN) + b"\xff"
    for source, target, mac in (("0.0.0.0", "255.255.255.255", EVERYBODY), (OWN, GATEWAY, village.gateway_mac)):
        village.liar.send(ethernet(ipv4(udp(message, source=68, target=67), source=source, target=target), target=mac))
        told = village.liar.dhcp()
        assert told is not None
        assert told["ip"] == OWN
    assert MAC in await village.plane.leases()
