"""A public pool on a real uplink: answered for and announced there while an address is held, and only then."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import struct
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import DataPlaneState, PublishedPort, Ranges, ServiceRules
from virtualserver.fabric.kernel import probing
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POOL = ip_network("100.64.7.128/25")
PUBLISHED, ATTACHED = "100.64.7.130", "100.64.7.131"
NEIGHBOUR = "100.64.7.140"
"""Another machine on the link whose address is in the pool's network."""


def a_plane(chosen: Ranges) -> DataPlane:
    return DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"))


@pytest.fixture
async def plane(internet: world.Node) -> AsyncIterator[DataPlane]:
    """A data plane whose public pool is a part of the uplink's own network."""
    chosen = ranges.choose(await ranges.networks_in_use(), public=(POOL,))
    plane = a_plane(dataclasses.replace(chosen, uplink=world.UPLINK))
    try:
        await plane.start()
        yield plane
    finally:
        await plane.stop()


def announced(address: str, *ports: int, target: str = "10.42.0.2") -> ServiceRules:
    published = {PublishedPort(ip_address(address), port, "TCP", ip_address(target), port) for port in ports}
    return ServiceRules(ports=frozenset(published), announced=frozenset({ip_address(address)}))


def neighbour_of(internet: world.Node, address: str) -> str:
    """Return the hardware address that a host on the link has for an address, empty where nobody answered."""
    internet.run("sh", "-c", f"ping -c 1 -W 1 {address} >/dev/null 2>&1 || true")
    found = json.loads(internet.run("ip", "-j", "neigh", "show", "to", address) or "[]")
    return str(found[0].get("lladdr", "")) if found else ""


def mac_of(link: str) -> str:
    return Path(f"/sys/class/net/{link}/address").read_text().strip()


def proxies() -> list[str]:
    return sorted(one["dst"] for one in json.loads(world.sh("ip", "-j", "neigh", "show", "proxy") or "[]"))


async def test_a_host_on_the_link_reaches_held_addresses_and_nobody_answers_for_others(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest, attached = await make_guest(plane, 2), await make_guest(plane, 3, ATTACHED)
    await plane.set_service("web", announced(PUBLISHED, 8080))
    with guest.serving(8080), attached.serving(9):
        assert internet.tcp(PUBLISHED, 8080) == world.CLIENT_ADDRESS
        assert internet.tcp(ATTACHED, 9) == world.CLIENT_ADDRESS
        assert internet.pings(ATTACHED)
    for address in (PUBLISHED, ATTACHED):
        assert neighbour_of(internet, address) == mac_of(world.UPLINK)
    assert neighbour_of(internet, "100.64.7.132") == ""
    assert proxies() == [PUBLISHED, ATTACHED]
    with internet.serving(80):
        assert attached.tcp(world.CLIENT_ADDRESS, 80) == ATTACHED, "its own source, not the machine's"


async def test_a_freed_address_is_withdrawn_at_once_and_its_neighbours_on_the_link_stay_reachable(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    internet.run("ip", "address", "add", f"{NEIGHBOUR}/32", "dev", "lo")
    await plane.set_service("web", announced(PUBLISHED, 8080))
    with internet.serving(80):
        socket.create_connection((NEIGHBOUR, 80), timeout=5).close()
        assert guest.tcp(NEIGHBOUR, 80) == world.HOST_ADDRESS, "a network of the pool is the link's too"
    await plane.remove_service("web")
    assert proxies() == []
    internet.run("ip", "neigh", "flush", "all")
    assert neighbour_of(internet, PUBLISHED) == ""
    assert PUBLISHED not in world.sh("ip", "route")


async def test_an_address_that_comes_is_announced_to_who_had_another_for_it(
    internet: world.Node, plane: DataPlane
) -> None:
    internet.run("ip", "neigh", "replace", PUBLISHED, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "stale")
    with internet.socket(socket.SOCK_RAW, socket.AF_PACKET, socket.htons(0x0806)) as listening:
        listening.bind(("eth0", 0x0806))
        await plane.set_service("web", announced(PUBLISHED, 8080))
        frame = await asyncio.to_thread(listening.recv, 100)
    assert struct.unpack_from("!H", frame, 20) == (1,)
    assert frame[28:32] == frame[38:42] == ip_address(PUBLISHED).packed, "sender and target are the address"
    world.eventually(
        lambda: mac_of(world.UPLINK) in internet.run("ip", "neigh", "show", "to", PUBLISHED), what="the new address"
    )


async def test_a_restart_of_the_node_withdraws_nothing_and_a_stop_leaves_nothing(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", announced(PUBLISHED, 8080))
    again = a_plane(plane.ranges)
    await again.start()
    assert proxies() == [PUBLISHED]
    with guest.serving(8080):
        assert internet.tcp(PUBLISHED, 8080) == world.CLIENT_ADDRESS
    await again.synchronise(DataPlaneState(links={}, services={}))
    assert proxies() == []
    await again.set_service("web", announced(PUBLISHED, 8080))
    await again.stop()
    assert proxies() == []


async def test_an_answer_that_somebody_takes_away_is_put_back(internet: world.Node, plane: DataPlane) -> None:
    await plane.set_service("web", announced(PUBLISHED, 8080))
    async with world.following(plane) as follower:
        await asyncio.sleep(1)
        world.sh("ip", "neigh", "del", "proxy", PUBLISHED, "dev", world.UPLINK)
        assert world.is_in_time(await follower.until_told(), within=2.2)
        assert proxies() == [PUBLISHED]


async def test_a_link_that_was_down_is_answered_on_and_told_again(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", announced(PUBLISHED, 8080))
    assert {"kind": "answer", "name": PUBLISHED, "detail": "to ARP on wan0", "within": ""} in await plane.inventory()
    async with world.following(plane):
        await asyncio.sleep(1)
        world.sh("ip", "link", "set", world.UPLINK, "down")
        with internet.socket(socket.SOCK_RAW, socket.AF_PACKET, socket.htons(0x0806)) as listening:
            listening.bind(("eth0", 0x0806))
            world.sh("ip", "link", "set", world.UPLINK, "up")
            world.sh("ip", "route", "add", "default", "via", world.CLIENT_ADDRESS)

            def heard() -> bool:
                return listening.recv(100)[28:32] == ip_address(PUBLISHED).packed

            await asyncio.to_thread(world.eventually, heard, what="the announcement", seconds=15)
        with guest.serving(8080):
            assert await asyncio.to_thread(internet.tcp, PUBLISHED, 8080) == world.CLIENT_ADDRESS


async def test_held_addresses_of_a_former_pool_go_on_beside_those_of_the_new_one(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", announced(PUBLISHED, 8080))
    changed = ranges.change(plane.ranges, public=(ip_network("192.0.2.0/24"),), held=[ip_address(PUBLISHED)])
    again = a_plane(changed)
    await again.start()
    await again.set_service("web", announced(PUBLISHED, 8080))
    await again.set_service("new", announced("192.0.2.7", 8080))
    internet.run("ip", "route", "add", "192.0.2.0/24", "dev", "eth0")
    with guest.serving(8080):
        assert internet.tcp(PUBLISHED, 8080) == world.CLIENT_ADDRESS
        assert internet.tcp("192.0.2.7", 8080) == world.CLIENT_ADDRESS


async def test_who_has_an_address_on_the_link_is_found_before_it_is_used(
    internet: world.Node, plane: DataPlane
) -> None:
    internet.run("ip", "address", "add", f"{NEIGHBOUR}/24", "dev", "eth0")
    internet.run("ip", "neigh", "add", "proxy", "100.64.7.141", "dev", "eth0")
    internet.run("sysctl", "-qw", "net.ipv4.conf.all.forwarding=1", "net.ipv4.neigh.eth0.proxy_delay=0")
    internet.run("ip", "link", "add", "far0", "type", "veth", "peer", "name", "far1")
    internet.run("ip", "link", "set", "far0", "up")
    internet.run("ip", "route", "add", "100.64.7.141/32", "dev", "far0")
    asked = [ip_address(text) for text in (NEIGHBOUR, "100.64.7.141", PUBLISHED, world.HOST_ADDRESS)]
    mac = json.loads(internet.run("ip", "-j", "link", "show", "eth0"))[0]["address"]
    found = await plane.probe(asked)
    assert found == {ip_address(NEIGHBOUR): mac, ip_address("100.64.7.141"): mac}, "who answers for others counts too"
    assert plane.own_among(asked) == {ip_address(world.HOST_ADDRESS)}
    world.sh("ip", "link", "set", world.UPLINK, "down")
    assert await plane.probe(asked) is None, "nothing is known"


async def test_a_machine_that_is_about_to_take_a_held_address_is_told_that_it_is_not_free(
    internet: world.Node, plane: DataPlane
) -> None:
    await plane.set_service("web", announced(PUBLISHED, 8080))
    internet.run("ip", "address", "flush", "dev", "eth0")  # so that it asks in nobody's name only
    asked = [ip_address(PUBLISHED), ip_address("100.64.7.132")]
    task = asyncio.ensure_future(plane.defend())
    try:
        await asyncio.sleep(0)
        found = await asyncio.to_thread(internet.namespace.call, lambda: probing.probe("eth0", asked))
        assert found == {ip_address(PUBLISHED): mac_of(world.UPLINK)}
    finally:
        task.cancel()
