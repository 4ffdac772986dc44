"""A pool that is the machine's own address: published ports on it, and no other port of the machine's."""

from __future__ import annotations

import asyncio
import os
import socket
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import PublishedPort, ServiceRules
from virtualserver.host import listeners
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from ipaddress import IPv4Address, IPv6Address

    from virtualserver.fabric.desired.state import Ranges

OTHER_ADDRESS = "100.64.7.9"


def a_plane(chosen: Ranges) -> DataPlane:
    return DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"))


@pytest.fixture
async def plane(internet: world.Node) -> AsyncIterator[DataPlane]:
    """A data plane whose public pool is the machine's own address."""
    plane = a_plane(ranges.choose(await ranges.networks_in_use(), is_public_host=True))
    try:
        await plane.start()
        yield plane
    finally:
        await plane.stop()


def on_host(plane: DataPlane, *ports: tuple[str, int], target: str = "10.42.0.2", clients: str = "") -> ServiceRules:
    """Return what the node asks for: the machine's address for guests, the data plane's end for the machine."""
    assert plane.host_address
    networks = (ip_network(clients),) if clients else None
    ends: tuple[IPv4Address | IPv6Address, ...] = (plane.host_address, *plane.called_by_host)
    published = {
        PublishedPort(end, port, protocol, ip_address(target), port, networks)  # type: ignore[arg-type]
        for protocol, port in ports
        for end in ends
    }
    return ServiceRules(ports=frozenset(published))


async def test_clients_and_the_machine_itself_and_guests_reach_a_published_port_and_are_seen(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest, neighbour = await make_guest(plane, 2), await make_guest(plane, 3)
    assert str(plane.host_address) == world.HOST_ADDRESS
    await plane.set_service("web", on_host(plane, ("TCP", 8080), ("UDP", 5353)))
    with guest.serving(8080), guest.serving(5353, protocol="udp"):
        assert internet.tcp(world.HOST_ADDRESS, 8080) == world.CLIENT_ADDRESS
        assert internet.udp(world.HOST_ADDRESS, 5353) == world.CLIENT_ADDRESS
        assert await asyncio.to_thread(from_the_machine, 8080) == world.HOST_ADDRESS
        assert neighbour.tcp(world.HOST_ADDRESS, 8080) == "10.42.0.3"
        assert guest.tcp(world.HOST_ADDRESS, 8080), "its own"


def from_the_machine(port: int) -> str:
    return world.sh("busybox", "timeout", "5", "sh", "-c", f"busybox nc -w 3 {world.HOST_ADDRESS} {port} </dev/null")


async def test_no_other_port_of_the_machine_is_touched_and_a_port_that_goes_is_the_machines_again(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", on_host(plane, ("TCP", 8080)))
    world.sh("sh", "-c", "busybox nc -ll -p 9090 -e echo machine >/dev/null 2>&1 & echo $! > /run/nc.pid")
    try:
        with guest.serving(8080), guest.serving(9090), guest.serving(22):
            with internet.connect(world.HOST_ADDRESS, 8080) as opened:
                assert opened.recv(100)
                assert internet.tcp(world.HOST_ADDRESS, 9090) == "machine\n"
                with pytest.raises(ConnectionRefusedError):
                    internet.tcp(world.HOST_ADDRESS, 22)
                with pytest.raises(OSError, match=r"timed out|refused"):
                    guest.connect(world.HOST_ADDRESS, 9090, seconds=1)
                await plane.remove_service("web")
                assert world.is_reset(opened), "its flows are cut"
            with pytest.raises(ConnectionRefusedError):
                internet.tcp(world.HOST_ADDRESS, 8080)
    finally:
        world.sh("kill", Path("/run/nc.pid").read_text().strip())


async def test_source_ranges_hold_for_a_port_of_the_machine(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", on_host(plane, ("TCP", 8080), clients="192.0.2.0/24"))
    with guest.serving(8080):
        with pytest.raises(OSError, match=r"timed out|refused"):
            internet.connect(world.HOST_ADDRESS, 8080, seconds=1)
        await plane.set_service("web", on_host(plane, ("TCP", 8080), clients=f"{world.CLIENT_ADDRESS}/32"))
        assert internet.tcp(world.HOST_ADDRESS, 8080) == world.CLIENT_ADDRESS


async def test_a_restart_of_the_node_closes_no_port_and_writes_nothing(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", on_host(plane, ("TCP", 8080)))
    before = world.sh("nft", "-a", "list", "table", "inet", "vs-t1")
    again = a_plane(plane.ranges)
    await again.start()
    assert world.sh("nft", "-a", "list", "table", "inet", "vs-t1") == before
    with guest.serving(8080):
        assert internet.tcp(world.HOST_ADDRESS, 8080) == world.CLIENT_ADDRESS


async def test_ports_follow_the_machine_to_another_address_within_a_second(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", on_host(plane, ("TCP", 8080)))
    async with world.following(plane) as follower:
        await asyncio.sleep(1)
        world.sh("ip", "address", "delete", f"{world.HOST_ADDRESS}/24", "dev", world.UPLINK)
        world.sh("ip", "address", "add", f"{OTHER_ADDRESS}/24", "dev", world.UPLINK)
        world.sh("ip", "route", "replace", "default", "via", world.CLIENT_ADDRESS)
        told = f"the machine's own address is {OTHER_ADDRESS} now"
        assert world.is_in_time(await follower.until_adjusted(told))
        await plane.set_service("web", on_host(plane, ("TCP", 8080)))
        with guest.serving(8080):
            assert await asyncio.to_thread(internet.tcp, OTHER_ADDRESS, 8080) == world.CLIENT_ADDRESS


async def test_a_flushed_table_is_put_back_with_its_ports(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", on_host(plane, ("TCP", 8080)))
    async with world.following(plane) as follower:
        await asyncio.sleep(1)
        world.sh("nft", "delete", "table", "inet", "vs-t1")
        await follower.until_told()
        with guest.serving(8080):
            assert await asyncio.to_thread(internet.tcp, world.HOST_ADDRESS, 8080) == world.CLIENT_ADDRESS


@pytest.mark.parametrize(("listens", "is_ours"), [("0.0.0.0", True), (world.HOST_ADDRESS, True), ("127.0.0.1", False)])
def test_a_port_that_a_process_of_the_machine_listens_on_is_known(
    internet: world.Node, listens: str, *, is_ours: bool
) -> None:
    address = ip_address(world.HOST_ADDRESS)
    assert listeners.occupant(address, "TCP", 8080) == ""
    with socket.socket() as listener:
        listener.bind((listens, 8080))
        listener.listen()
        occupant = listeners.occupant(address, "TCP", 8080)
        assert occupant == (f"process python ({os.getpid()}) of this machine" if is_ours else "")
        assert listeners.occupant(address, "UDP", 8080) == ""
    assert listeners.occupant(address, "TCP", 8080) == ""
