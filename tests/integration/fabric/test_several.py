"""A Service that leads to several guests: each has its share of new connections, and none is lost when one goes."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import socket
import threading
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import DataPlaneState, LinkKey, PublishedPort, ServiceRules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

ADDRESS, CLUSTER = "203.0.113.7", "10.96.0.7"
FIRST, SECOND = world.CLIENT_ADDRESS, "100.64.7.3"
INSIDE = ("nsenter", "--net=/run/netns/vs-t1", "nft")
GUESTS = (2, 3, 4)


def a_guest(number: int) -> str:
    return f"10.42.{number // 256}.{number % 256}"


def rules(
    *guests: int,
    port: int = 22,
    protocol: Literal["TCP", "UDP"] = "TCP",
    ranges: tuple[str, ...] | None = None,
    affinity: int | None = None,
) -> ServiceRules:
    """Return the rules of a Service that leads to some guests."""
    clients = None if ranges is None else tuple(map(ip_network, ranges))
    targets = [ip_address(a_guest(number)) for number in guests]
    ports = [
        PublishedPort(ip_address(address), port, protocol, target, port, admitted, affinity)
        for target in targets
        for address, admitted in ((ADDRESS, clients), (CLUSTER, None))
    ]
    return ServiceRules(frozenset(ports), frozenset({ip_address(ADDRESS)}))


class Street:
    """Three servers, each of which says its number on port 22, and clients outside."""

    def __init__(self, plane: DataPlane, internet: world.Node, servers: dict[int, world.Guest]) -> None:
        self.plane, self.internet, self.servers = plane, internet, servers

    async def lead(self, *guests: int, ranges: tuple[str, ...] | None = None, affinity: int | None = None) -> int:
        return await self.plane.set_service("s", rules(*guests, ranges=ranges, affinity=affinity))

    def answer(self, client: str = FIRST, address: str = ADDRESS) -> int:
        """Return the number of the server that answers a client."""
        with self.connect(client, address) as connection:
            return int(connection.recv(100))

    def connect(self, client: str, address: str = ADDRESS) -> socket.socket:
        connection = self.internet.socket(socket.SOCK_STREAM)
        connection.settimeout(0.9)  # a second later the same segment comes again
        try:
            connection.bind((client, 0))
            connection.connect((address, 22))
        except BaseException:
            connection.close()
            raise
        return connection

    def shares(self, connections: int) -> dict[int, int]:
        """Return how many of so many connections each server has."""
        return dict(collections.Counter(self.answer() for _ in range(connections)))

    @contextlib.contextmanager
    def calling(self) -> Generator[list[int]]:
        """Connect again and again meanwhile; each time is answered, by whom is in the list."""
        answers: list[int] = []
        failed: list[Exception] = []
        over = threading.Event()

        def call() -> None:
            while not over.is_set():
                try:
                    answers.append(self.answer())
                except Exception as error:
                    failed.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        try:
            yield answers
        finally:
            over.set()
            thread.join()
        assert not failed, f"{len(failed)} of {len(failed) + len(answers)}: {failed[0]!r}"


@pytest.fixture
async def street(internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest) -> AsyncIterator[Street]:
    servers = {number: await make_guest(plane, number) for number in GUESTS}
    internet.run("ip", "address", "add", f"{SECOND}/24", "dev", "eth0")
    internet.run("ip", "route", "add", f"{ADDRESS}/32", "via", world.HOST_ADDRESS)
    with contextlib.ExitStack() as stack:
        for number, server in servers.items():
            stack.enter_context(server.serving(22, says=str(number)))
        yield Street(plane, internet, servers)


def desired(service: ServiceRules) -> DataPlaneState:
    return DataPlaneState({LinkKey(f"guest-{number}"): world.a_link(number) for number in GUESTS}, {"s": service})


def spread() -> list[str]:
    """Return what there is of ports that lead to several."""
    listed = world.sh(*INSIDE, "-s", "list", "table", "inet", "virtualserver")
    return [line.strip() for line in listed.splitlines() if "spread_203" in line]


async def test_new_connections_are_spread_evenly_and_a_server_that_goes_leaves_no_gap(street: Street) -> None:
    await street.lead(2, 3, 4)
    assert street.shares(30) == {2: 10, 3: 10, 4: 10}
    with street.calling() as answers, street.connect(FIRST) as kept:
        served = int(kept.recv(100))
        for guests in ((2, 3), (3,), (2, 3, 4), (4,), (2, 4), (2, 3, 4)):
            assert await street.lead(*guests) > 0
            assert not spread() or len(guests) > 1, "one target is one element"
            before = len(answers) + 1  # one that is under way
            while len(answers) < before + 2 * len(guests):
                await asyncio.sleep(0.001)
            assert set(answers[before:]) == set(guests)
            kept.sendall(b"here")
            assert kept.recv(100) == b"here", f"the connection to {served} is its own affair"
    # Its guest ends: it goes out of the Service first, and its link, with all of its connections, after that.
    await street.lead(2, 3)
    with street.calling() as answers:
        await street.plane.remove_link("guest-4")
        assert street.shares(10).keys() == {2, 3}
    assert answers
    await street.plane.remove_service("s")
    assert spread() == []


async def test_rules_that_are_loaded_anew_leave_no_gap_and_a_second_pass_writes_nothing(street: Street) -> None:
    successor = DataPlane(installation="t1", identifier="0000a1", ranges=street.plane.ranges, run=Path("/run/t1"))
    services = [
        rules(2, 3, 4),
        rules(2, 3, ranges=("100.64.0.0/10", "192.0.2.7/32")),
        rules(2, 3, affinity=10800),
        rules(2, affinity=86399),
        rules(*range(250, 290), affinity=1),
        rules(*range(250, 290)),
    ]
    for service in services:
        await street.plane.set_service("s", service)
        await successor.start()
        assert await successor.synchronise(desired(service)) == 0
        assert await street.plane.set_service("s", service) == 0
    await street.lead(2, 3)
    remembered = Path("/run/t1/rules-namespace.json")
    with street.calling() as answers:
        for _ in range(5):
            remembered.write_text('{"text": "of a former version", "listing": ""}')
            await successor.start()
    assert set(answers) == {2, 3}
    assert await successor.synchronise(desired(rules(2, 3))) == 0


DONE = (
    ("flush", "map", "inet", "virtualserver", "spread"),
    ("flush", "chain", "inet", "virtualserver", "spread_203.0.113.7_tcp_22"),
    ("insert", "rule", "inet", "virtualserver", "spread_203.0.113.7_tcp_22", "drop"),
    ("add", "chain", "inet", "virtualserver", "spread_203.0.113.7_tcp_23"),
    ("delete", "table", "inet", "virtualserver"),
)
"""What somebody else may do to it."""


async def test_what_somebody_else_does_to_it_is_put_right(street: Street) -> None:
    await street.lead(2, 3, 4)
    before = spread()
    async with world.following(street.plane) as follower:
        for done in DONE:
            follower.told.clear()
            world.sh(*INSIDE, *done)
            await follower.until_told()
            assert spread() == before, done
            assert street.shares(6) == {2: 2, 3: 2, 4: 2}, done
    assert await street.plane.synchronise(desired(rules(2, 3, 4))) == 0


async def test_fault_16_source_ranges_hold_for_several_and_a_change_ends_whom_it_does_not_admit(street: Street) -> None:
    await street.lead(2, 3, 4)
    with street.connect(FIRST) as kept, street.connect(SECOND) as ended:
        assert {int(one.recv(100)) for one in (kept, ended)} == {2, 3}
        await street.lead(2, 3, 4, ranges=(f"{FIRST}/32",))
        assert {street.answer(FIRST) for _ in range(3)} == {2, 3, 4}
        with pytest.raises(OSError, match=r"refused|reset"):
            street.answer(SECOND)
        kept.sendall(b"here")
        assert kept.recv(100) == b"here"
        assert world.is_reset(ended)
        await street.lead(2, 3, ranges=(f"{SECOND}/32",))
        assert world.is_reset(kept)
        assert {street.answer(SECOND) for _ in range(2)} == {2, 3}


async def test_a_guest_reaches_all_by_the_clusters_address_itself_too(street: Street) -> None:
    await street.lead(2, 3, 4)
    for address in (ADDRESS, CLUSTER):
        assert {street.servers[2].tcp(address, 22) for _ in range(3)} == {"2", "3", "4"}


async def test_a_udp_flow_stays_with_its_server_until_that_one_goes(street: Street) -> None:
    async def lead(*guests: int) -> None:
        await street.plane.set_service("s", rules(*guests, port=53, protocol="UDP"))

    with contextlib.ExitStack() as stack:
        for number, server in street.servers.items():
            stack.enter_context(server.serving(53, protocol="udp", says=str(number)))
        await lead(2)
        asking = [stack.enter_context(street.internet.socket(socket.SOCK_DGRAM)) for _ in range(3)]

        def ask(one: socket.socket) -> int:
            one.sendto(b"?", (ADDRESS, 53))
            return int(one.recv(100))

        assert ask(asking[0]) == 2
        await lead(2, 3, 4)
        assert ask(asking[0]) == 2
        there = {ask(one): one for one in asking[1:]}
        assert there.keys() == {2, 3}
        await lead(3, 4)
        assert ask(there[3]) == 3
        assert {ask(asking[0]), ask(there[2])} <= {3, 4}


async def test_a_client_stays_with_its_server_where_the_service_says_so_until_that_one_goes(street: Street) -> None:
    await street.lead(2, affinity=10800)
    assert street.answer() == 2
    await street.lead(2, 3, 4, affinity=10800)
    assert {street.answer() for _ in range(4)} == {2}
    others = {street.answer(SECOND) for _ in range(4)}
    assert len(others) == 1
    await street.lead(3, 4, affinity=10800)
    moved = {street.answer() for _ in range(4)}
    assert len(moved) == 1
    await street.lead(2, 3, 4, affinity=10800)
    assert {street.answer() for _ in range(4)} == moved, "and does not go back"
    await street.lead(2, 3, 4)
    assert street.shares(6) == {2: 2, 3: 2, 4: 2}


async def test_a_client_that_stays_away_for_the_time_has_its_turn_anew(street: Street) -> None:
    await street.lead(2, 3, affinity=2)
    assert street.answer() == 2
    for _ in range(3):
        await asyncio.sleep(0.8)
        assert street.answer() == 2, "each connection begins the time anew"
    await asyncio.sleep(2.5)
    assert street.answer() == 3
