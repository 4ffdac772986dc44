"""Fault 16: who may call a published port or an attached address, and what becomes of those who may not any more."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import DataPlaneState, LinkKey, PublishedPort, ServiceRules
from virtualserver.fabric.kernel import conntrack, devices
from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADDRESS, GUEST = "203.0.113.7", "10.42.0.2"
FIRST, SECOND = world.CLIENT_ADDRESS, "100.64.7.3"
CLUSTER = "10.96.0.7"
FIRST_ONLY = (f"{FIRST}/32",)


def rules(*ranges: str, everybody: bool = False, attached: bool = False) -> ServiceRules:
    """Return a Service's rules with these source ranges."""
    networks: tuple[IPv4Network | IPv6Network, ...] | None = tuple(ip_network(text) for text in ranges)
    clients = None if everybody else networks
    if attached:
        return ServiceRules(restricted={} if clients is None else {ip_address(ADDRESS): clients})
    port = PublishedPort(ip_address(ADDRESS), 22, "TCP", ip_address(GUEST), 22, clients)
    inside = PublishedPort(ip_address(CLUSTER), 22, "TCP", ip_address(GUEST), 22)
    return ServiceRules(frozenset({port, inside}), frozenset({ip_address(ADDRESS)}))


class Street:
    """A server, one neighbour of it among the guests, and two clients outside."""

    def __init__(self, plane: DataPlane, internet: world.Node, neighbour: world.Guest, *, attached: bool) -> None:
        self.plane, self.internet, self.neighbour, self.attached = plane, internet, neighbour, attached

    async def set(self, *ranges: str, everybody: bool = False) -> int:
        return await self.plane.set_service("s", rules(*ranges, everybody=everybody, attached=self.attached))

    def connect(self, client: str, address: str = ADDRESS) -> socket.socket:
        """Connect as one of the clients outside, or as the neighbour."""
        node = self.neighbour if client.startswith("10.") else self.internet
        connection = node.socket(socket.SOCK_STREAM)
        connection.settimeout(2)
        try:
            connection.bind((client, 0))
            connection.connect((address, 22))
            assert connection.recv(100).decode() == client
        except BaseException:
            connection.close()
            raise
        connection.settimeout(10)
        return connection

    def reaches(self, client: str, address: str = ADDRESS) -> bool:
        with contextlib.suppress(OSError), self.connect(client, address):
            return True
        return False


@pytest.fixture(params=[False, True], ids=["published", "attached"])
async def street(
    request: pytest.FixtureRequest, internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> AsyncIterator[Street]:
    attached: bool = request.param
    server, neighbour = await make_guest(plane, 2, ADDRESS if attached else None), await make_guest(plane, 3)
    internet.run("ip", "address", "add", f"{SECOND}/24", "dev", "eth0")
    internet.run("ip", "route", "add", f"{ADDRESS}/32", "via", world.HOST_ADDRESS)
    with server.serving(22):
        yield Street(plane, internet, neighbour, attached=attached)


@pytest.mark.parametrize(
    ("ranges", "admitted"),
    [
        ((f"{FIRST}/32",), {FIRST}),
        (("100.64.0.0/10",), {FIRST, SECOND}),
        (("10.42.0.0/24", f"{SECOND}/32"), {"10.42.0.3", SECOND}),
        (("10.42.0.2/32",), set[str]()),
        (("::/0", "::ffff:100.64.7.2/128"), set[str]()),
        ((), set[str]()),
        (("0.0.0.0/0",), {FIRST, SECOND, "10.42.0.3"}),
    ],
)
async def test_who_is_in_a_range_is_admitted_and_nobody_else(
    street: Street, ranges: tuple[str, ...], admitted: set[str]
) -> None:
    await street.set(*ranges)
    everybody = (FIRST, SECOND, "10.42.0.3")
    assert {client for client in everybody if street.reaches(client)} == admitted
    if not street.attached:
        assert street.reaches("10.42.0.3", CLUSTER), "a cluster's address is no load balancer's"


async def test_a_change_ends_whom_it_does_not_admit_and_lets_others_live(street: Street) -> None:
    await street.set(everybody=True)
    with street.connect(FIRST) as kept, street.connect(SECOND) as ended, street.connect("10.42.0.3") as neighbours:
        await street.set(f"{FIRST}/32")
        for other in (ended, neighbours):
            assert world.is_reset(other)
        for _ in range(2):
            kept.sendall(b"here")
            assert kept.recv(100) == b"here"
            await street.set(f"{FIRST}/32", "192.0.2.0/24")
        await street.set(everybody=True)
        kept.sendall(b"here")
        assert kept.recv(100) == b"here"
        assert street.reaches(SECOND)
        await street.set()
        assert world.is_reset(kept)


async def test_a_server_that_speaks_first_speaks_no_more_to_whom_it_may_not(
    plane: DataPlane, internet: world.Node, make_guest: world.MakeGuest
) -> None:
    server = await make_guest(plane, 2, ADDRESS)
    await plane.set_service("s", rules(everybody=True, attached=True))
    internet.run("ip", "route", "add", f"{ADDRESS}/32", "via", world.HOST_ADDRESS)
    with server.listening(22) as listener, internet.connect(ADDRESS, 22) as client:
        served, _ = listener.accept()
        with served:
            await plane.set_service("s", rules("192.0.2.0/24", attached=True))
            served.settimeout(10)
            assert world.is_reset(served)
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(100)


async def test_changes_overlap_and_a_second_pass_writes_nothing(street: Street) -> None:
    for ranges in (("10.0.0.0/8", FIRST), ("10.1.0.0/16",), ("10.0.0.0/8", "192.0.2.7"), ("0.0.0.0/1", "192.0.2.7")):
        assert await street.set(*ranges) > 0
        assert await street.set(*ranges) == 0
        links = {
            LinkKey("guest-2"): world.a_link(2, ADDRESS if street.attached else None),
            LinkKey("guest-3"): world.a_link(3),
        }
        state = DataPlaneState(links, {"s": rules(*ranges, attached=street.attached)})
        assert await street.plane.synchronise(state) == 0


class Killed(BaseException):
    """Stands in for the end of the process, which no test outlives."""


@pytest.mark.parametrize("death", [Killed(), KernelError("refused")], ids=["it dies", "it fails"])
async def test_a_node_that_dies_before_it_has_cut_flows_has_the_next_one_cut_them(
    street: Street, monkeypatch: pytest.MonkeyPatch, death: BaseException
) -> None:
    """Who may call is in the kernel then, and no difference tells any more whom that was to end."""
    await street.set(everybody=True)

    def dies(*_: object) -> None:
        raise death

    with street.connect(FIRST) as kept, street.connect(SECOND) as ended:
        with monkeypatch.context() as patched:
            patched.setattr(conntrack, "forget", dies)
            with pytest.raises((Killed, Refused)):
                await street.set(f"{FIRST}/32")
        ended.sendall(b"still?")
        assert ended.recv(100), "nothing was cut yet"
        successor = DataPlane(installation="t1", identifier="0000a1", ranges=street.plane.ranges, run=Path("/run/t1"))
        await successor.start()
        links = {
            LinkKey(f"guest-{n}"): world.a_link(n, ADDRESS if street.attached and n == 2 else None) for n in (2, 3)
        }
        wanted = DataPlaneState(links, {"s": rules(f"{FIRST}/32", attached=street.attached)})
        await successor.synchronise(wanted)
        assert world.is_reset(ended)
        kept.sendall(b"here")
        assert kept.recv(100) == b"here"
        assert await successor.synchronise(wanted) == 0


async def test_flows_end_although_a_device_is_refused_meanwhile(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    await street.set(everybody=True)

    def refuses(*_: object) -> None:
        raise KernelError("no room for a route")

    with street.connect(SECOND) as ended:
        monkeypatch.setattr(devices, "_change_devices", refuses)
        service = rules(f"{FIRST}/32", attached=street.attached)
        more = dataclasses.replace(service, announced=service.announced | {ip_address("203.0.113.99")})
        with pytest.raises(Refused, match="no room for a route"):
            await street.plane.set_service("s", more)
        assert world.is_reset(ended)
