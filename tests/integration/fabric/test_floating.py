"""Addresses that float: all traffic of an address goes to one guest; real packets through the real rules.

Source of the cases: what a stateful one-to-one translation was seen to need, by sort of client and of packet.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import time
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import (
    DataPlaneState,
    FloatingAddress,
    LinkKey,
    PublishedPort,
    ServiceRules,
)
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    from virtualserver.fabric.desired.state import Protocol

FIRST, SECOND, OTHER = "203.0.113.7", "203.0.113.8", "203.0.113.9"
ONE, TWO, PLAIN = "10.42.0.2", "10.42.0.3", "10.42.0.4"
NARROW = 1300


def floats(
    address: str, target: str | None, *, clients: str | None = None, is_source: bool = True, port: int = 0
) -> ServiceRules:
    """Return the rules of a Service whose address floats to a guest, or to nobody."""
    networks = None if clients is None else tuple(ip_network(text) for text in clients.split())
    there = ip_address(address)
    ports = {PublishedPort(there, port, "TCP", ip_address(PLAIN), 22)} if port else set[PublishedPort]()
    some = {FloatingAddress(there, ip_address(target), networks, is_source)} if target else set[FloatingAddress]()
    return ServiceRules(frozenset(ports), frozenset({there}), floating=frozenset(some))


@pytest.fixture
async def plane(internet: world.Node) -> AsyncIterator[DataPlane]:
    """A data plane whose public pool the network beyond routes, so that it sees who speaks."""
    chosen = ranges.choose(await ranges.networks_in_use())
    chosen = dataclasses.replace(chosen, routed=chosen.public["public"])
    plane = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"))
    internet.run("ip", "route", "add", "203.0.113.0/24", "via", world.HOST_ADDRESS)
    try:
        await plane.start()
        yield plane
    finally:
        await plane.stop()


@dataclasses.dataclass(frozen=True)
class Street:
    """Two guests with an address each that floats, one without, and the internet."""

    plane: DataPlane
    one: world.Guest
    two: world.Guest
    plain: world.Guest
    internet: world.Node


@pytest.fixture
async def street(plane: DataPlane, internet: world.Node, make_guest: world.MakeGuest) -> Street:
    made = Street(plane, await make_guest(plane, 2), await make_guest(plane, 3), await make_guest(plane, 4), internet)
    await plane.set_service("a", floats(FIRST, ONE))
    await plane.set_service("b", floats(SECOND, TWO))
    return made


@contextlib.contextmanager
def serving(*nodes: world.Node) -> Generator[None]:
    """Answer on a port of TCP and on one of UDP with the address that is seen."""
    with contextlib.ExitStack() as open_ports:
        for node in nodes:
            open_ports.enter_context(node.serving(8080))
            open_ports.enter_context(node.serving(5353, protocol="udp"))
        yield


async def test_every_case_of_who_calls_whom(street: Street) -> None:
    one, two, plain, internet = street.one, street.two, street.plain, street.internet
    host = str(street.plane.ranges.host_end().ip)
    with serving(one, two, plain, internet):
        assert internet.tcp(FIRST, 8080) == world.CLIENT_ADDRESS, "any port of TCP, and the client's own address"
        assert internet.udp(FIRST, 5353) == world.CLIENT_ADDRESS, "any port of UDP"
        assert internet.pings(FIRST), "ping"
        assert one.tcp(world.CLIENT_ADDRESS, 8080) == FIRST, "it leaves with its floating address"
        assert one.udp(world.CLIENT_ADDRESS, 5353) == FIRST
        assert one.pings(world.CLIENT_ADDRESS)
        assert plain.tcp(world.CLIENT_ADDRESS, 8080) not in (FIRST, SECOND), "who has none leaves as before"
        assert plain.pings(world.CLIENT_ADDRESS)
        assert plain.tcp(ONE, 8080) == PLAIN and one.tcp(PLAIN, 8080) == ONE, "between guests nothing is translated"
        assert plain.tcp(FIRST, 8080) == PLAIN and plain.udp(FIRST, 5353) == PLAIN and plain.pings(FIRST)
        assert one.tcp(SECOND, 8080) == ONE and two.tcp(FIRST, 8080) == TWO, "two that float, to each other"
        assert one.udp(SECOND, 5353) == ONE and one.pings(SECOND)
        assert one.tcp(FIRST, 8080) == "169.254.1.1" and one.udp(FIRST, 5353) and one.pings(FIRST), "to itself"
        with socket.create_connection((FIRST, 8080), timeout=10) as connection:
            assert connection.recv(100).decode() == host, "a process of the host"


async def test_a_port_that_nobody_opened_is_refused_by_the_guest_itself(street: Street) -> None:
    with pytest.raises(ConnectionRefusedError):
        street.internet.connect(FIRST, 8081)
    with pytest.raises(ConnectionRefusedError):
        street.internet.udp(FIRST, 8081)  # by an ICMP error that quotes the datagram as it was sent


async def test_a_path_that_takes_less_is_told_to_both_ends(street: Street) -> None:
    """What ICMP errors quote is translated too, into the guest and out of it."""
    internet, one = street.internet, street.one
    internet.run("ip", "link", "add", "narrow", "type", "veth", "peer", "name", "beyond")
    internet.run("ip", "link", "set", "beyond", "up")
    internet.run("ip", "link", "set", "narrow", "mtu", str(NARROW), "up")
    internet.run("ip", "route", "add", "100.64.8.0/24", "dev", "narrow")
    internet.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    with one.socket(socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: never in fragments
        asking.connect(("100.64.8.9", 9))
        asking.send(bytes(1400))
        end = time.monotonic() + 10
        while asking.getsockopt(socket.IPPROTO_IP, 14) != NARROW and time.monotonic() < end:  # IP_MTU
            with contextlib.suppress(OSError):
                asking.send(bytes(1400))
        assert asking.getsockopt(socket.IPPROTO_IP, 14) == NARROW


async def test_a_published_port_of_the_address_wins_and_the_rest_floats(street: Street) -> None:
    await street.plane.set_service("a", floats(FIRST, ONE, port=2222))
    with street.plain.serving(22), street.one.serving(22):
        assert street.internet.tcp(FIRST, 2222) == world.CLIENT_ADDRESS
        assert street.internet.tcp(FIRST, 22) == world.CLIENT_ADDRESS
        street.plain.run("ip", "link", "set", "eth0", "down")
        assert street.internet.tcp(FIRST, 22) == world.CLIENT_ADDRESS
        with pytest.raises(TimeoutError):
            street.internet.tcp(FIRST, 2222, seconds=1)


async def test_fault_16_a_published_port_is_decided_by_its_own_service_alone(street: Street) -> None:
    """Whether its clients are others than the floating ones, or nobody is behind it."""
    internet, there = street.internet, ip_address(FIRST)
    decided: frozenset[tuple[Protocol, int]] = frozenset({("TCP", 2222), ("UDP", 53)})
    for clients in (None, (ip_network(f"{world.CLIENT_ADDRESS}/32"),)):
        with street.one.serving(2222), street.one.serving(53, protocol="udp"), serving(street.one):
            await street.plane.set_service("a", floats(FIRST, ONE))
            with internet.connect(FIRST, 2222) as ended, internet.connect(FIRST, 8080) as kept:
                assert ended.recv(100) and kept.recv(100)
                some = FloatingAddress(there, ip_address(ONE), clients, is_source=True, decided=decided)
                rules = ServiceRules(announced=frozenset({there}), floating=frozenset({some}))
                await street.plane.set_service("a", rules)
                port = PublishedPort(there, 2222, "TCP", ip_address(ONE), 2222, (ip_network("192.0.2.0/24"),))
                await street.plane.set_service("published", ServiceRules(ports=frozenset({port})))
                assert world.is_reset(ended), "it floated, and is published now"
                kept.sendall(b"here")
                assert kept.recv(100) == b"here"
            for node in (internet, street.plain):
                with pytest.raises(ConnectionRefusedError):
                    node.connect(FIRST, 2222)
                with pytest.raises(ConnectionRefusedError):
                    node.udp(FIRST, 53, seconds=1)
            assert internet.tcp(FIRST, 8080) == world.CLIENT_ADDRESS, "the rest floats"
            await street.plane.remove_service("published")
            with pytest.raises(ConnectionRefusedError):
                internet.connect(FIRST, 2222)
            assert await street.plane.set_service("a", rules) == 0


async def test_source_ranges_hold_for_all_ports_and_ping_and_change_while_flows_are_open(street: Street) -> None:
    """As those of published ports and attached addresses do."""
    plane, internet = street.plane, street.internet
    other = "100.64.7.3"
    internet.run("ip", "address", "add", f"{other}/24", "dev", "eth0")

    def connect(client: str) -> socket.socket:
        connection = internet.socket(socket.SOCK_STREAM)
        connection.settimeout(3)
        try:
            connection.bind((client, 0))
            connection.connect((FIRST, 8080))
            assert connection.recv(100).decode() == client
        except BaseException:
            connection.close()
            raise
        return connection

    with serving(street.one), connect(world.CLIENT_ADDRESS) as kept, connect(other) as ended:
        await plane.set_service("a", floats(FIRST, ONE, clients=f"{world.CLIENT_ADDRESS}/32 192.0.2.0/24"))
        assert world.is_reset(ended)
        kept.sendall(b"here")
        assert kept.recv(100) == b"here"
        with pytest.raises(ConnectionRefusedError):
            connect(other)
        with connect(world.CLIENT_ADDRESS):
            assert internet.pings(FIRST)
        await plane.set_service("a", floats(FIRST, ONE, clients=f"{other}/32"))
        assert world.is_reset(kept)
        assert not internet.pings(FIRST, seconds=1)
        with connect(other):
            pass
        await plane.set_service("a", floats(FIRST, ONE))
        with connect(world.CLIENT_ADDRESS):
            assert internet.pings(FIRST)
        assert await plane.set_service("a", floats(FIRST, ONE)) == 0


async def test_an_address_that_moves_ends_its_flows_and_no_others(street: Street) -> None:
    plane, internet, one, two = street.plane, street.internet, street.one, street.two
    await plane.set_service("c", floats(OTHER, ONE, is_source=False))
    with serving(one, two, internet), contextlib.ExitStack() as opened:
        inbound = opened.enter_context(internet.connect(FIRST, 8080))
        outbound = opened.enter_context(one.connect(world.CLIENT_ADDRESS, 8080))
        between = opened.enter_context(street.plain.connect(FIRST, 8080))
        others = [
            opened.enter_context(internet.connect(OTHER, 8080)),
            opened.enter_context(internet.connect(SECOND, 8080)),
            opened.enter_context(street.plain.connect(ONE, 8080)),
        ]
        for connection in (inbound, outbound, between, *others):
            assert connection.recv(100)
        began = time.monotonic()
        await plane.set_service("a", floats(FIRST, None))
        await plane.set_service("a", floats(FIRST, TWO, is_source=False))
        assert internet.tcp(FIRST, 8080) == world.CLIENT_ADDRESS
        assert world.is_in_time(time.monotonic() - began)
        heard = two.socket(socket.SOCK_RAW, socket.AF_PACKET, 0x0300)
        heard.setblocking(False)
        with heard:
            for connection in (inbound, outbound, between):
                assert world.is_reset(connection)
            with contextlib.suppress(BlockingIOError):
                while frame := heard.recv(3000):
                    assert b"still?" not in frame, "a segment of a flow that is another's"
        for connection in others:
            connection.sendall(b"here")
            assert connection.recv(100) == b"here"


async def test_ports_of_it_that_another_service_publishes_stay_where_they_are(street: Street) -> None:
    """At their guest, that is: a port that leads to another one by now keeps its open connections where they are."""
    plane, internet, there = street.plane, street.internet, ip_address(FIRST)
    decided: frozenset[tuple[Protocol, int]] = frozenset({("TCP", 2222), ("TCP", 2223)})

    async def float_to(target: str, clients: str | None = None) -> None:
        networks = None if clients is None else (ip_network(clients),)
        some = FloatingAddress(there, ip_address(target), networks, is_source=True, decided=decided)
        await plane.set_service("a", ServiceRules(announced=frozenset({there}), floating=frozenset({some})))

    async def publish(first: str, second: str) -> None:
        targets = {2222: ip_address(first), 2223: ip_address(second)}
        ports = frozenset(PublishedPort(there, port, "TCP", target, 8080) for port, target in targets.items())
        await plane.set_service("published", ServiceRules(ports, frozenset({there})))

    await float_to(ONE)
    await publish(PLAIN, ONE)
    with serving(street.one, street.two, street.plain), contextlib.ExitStack() as opened:
        published = [opened.enter_context(internet.connect(FIRST, port)) for port in (2222, 2223)]
        assert all(connection.recv(100) for connection in published)
        await publish(TWO, PLAIN)
        for target, clients in ((ONE, None), (ONE, "192.0.2.0/24"), (TWO, None)):
            await float_to(ONE)
            with internet.connect(FIRST, 8080) as floated:
                assert floated.recv(100)
                await float_to(target, clients)
                assert world.is_reset(floated) is ((target, clients) != (ONE, None))
        for connection in published:
            connection.sendall(b"here")
            assert connection.recv(100) == b"here"


async def test_the_address_with_which_a_guest_leaves_changes_and_open_flows_live(street: Street) -> None:
    plane, one = street.plane, street.one
    await plane.set_service("c", floats(OTHER, ONE, is_source=False))
    with serving(street.internet), one.connect(world.CLIENT_ADDRESS, 8080) as before:
        assert before.recv(100).decode() == FIRST
        await plane.set_service("c", floats(OTHER, ONE))
        await plane.set_service("a", floats(FIRST, ONE, is_source=False))
        assert one.tcp(world.CLIENT_ADDRESS, 8080) == OTHER
        before.sendall(b"here")
        assert before.recv(100) == b"here"


async def test_an_attached_address_stays_the_source_and_floating_ones_come_in(
    plane: DataPlane, internet: world.Node, make_guest: world.MakeGuest
) -> None:
    attached = await make_guest(plane, 2, OTHER)
    await plane.set_service("a", floats(FIRST, OTHER, is_source=False))
    with serving(attached, internet):
        assert internet.tcp(FIRST, 8080) == internet.tcp(OTHER, 8080) == world.CLIENT_ADDRESS
        assert internet.pings(FIRST)
        assert attached.tcp(world.CLIENT_ADDRESS, 8080) == OTHER


async def test_without_a_guest_it_is_refused_and_a_second_pass_writes_nothing(street: Street) -> None:
    plane, internet = street.plane, street.internet
    await plane.set_service("a", floats(FIRST, None))
    with pytest.raises(ConnectionRefusedError):
        internet.connect(FIRST, 8080)
    assert not internet.pings(FIRST, seconds=1)
    for clients in (None, "10.0.0.0/8 192.0.2.7/32", "0.0.0.0/0"):
        rules = floats(FIRST, ONE, clients=clients)
        assert await plane.set_service("a", rules) > 0
        links = {LinkKey(f"guest-{number}"): world.a_link(number) for number in (2, 3, 4)}
        assert await plane.synchronise(DataPlaneState(links, {"a": rules, "b": floats(SECOND, TWO)})) == 0
    await plane.remove_service("a")
    links = {LinkKey(f"guest-{number}"): world.a_link(number) for number in (2, 3, 4)}
    assert await plane.synchronise(DataPlaneState(links, {"b": floats(SECOND, TWO)})) == 0
