"""Where somebody takes our rules away, the door is closed, not open, until they are back."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from harness import fabric_world as world
from virtualserver.fabric.desired.state import DataPlaneState, LinkKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtualserver.fabric.dataplane import DataPlane

INSIDE = ("nsenter", "--net=/run/netns/vs-t1")
ATTACHED = "203.0.113.9"
LINKS = {LinkKey("guest-2"): world.a_link(2), LinkKey("guest-3"): world.a_link(3, ATTACHED)}


@pytest.fixture
def host_listener(internet: world.Node) -> Iterator[int]:
    """A listener of the host on all of its addresses; who reaches it gets a connection."""
    with socket.create_server(("0.0.0.0", 8080)):
        yield 8080


def reaches(node: world.Node, address: str, port: int) -> bool:
    try:
        node.connect(address, port, seconds=0.7).close()
    except OSError:
        return False
    return True


async def test_a_flush_inside_closes_the_way_of_every_guest_while_the_gateway_answers(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    translated, attached = await make_guest(plane, 2), await make_guest(plane, 3, ATTACHED)
    internet.run("ip", "route", "add", f"{ATTACHED}/32", "via", world.HOST_ADDRESS)
    ways: list[tuple[world.Node, str]] = [
        (translated, world.CLIENT_ADDRESS),
        (translated, ATTACHED),
        (attached, world.CLIENT_ADDRESS),
    ]
    ways.append((internet, ATTACHED))
    with internet.serving(22), attached.serving(22):
        for node, address in ways:
            assert reaches(node, address, 22), f"{node.name} to {address} before"
        world.sh(*INSIDE, "nft", "flush", "ruleset")
        for node, address in ways:
            assert not reaches(node, address, 22), f"{node.name} to {address} after the flush"
        assert translated.pings("169.254.1.1")
        await plane.synchronise(DataPlaneState(LINKS, {}))
        for node, address in ways:
            assert reaches(node, address, 22), f"{node.name} to {address} in the end"


async def test_a_flush_in_the_host_opens_no_way_to_its_listeners(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, host_listener: int
) -> None:
    world.sh("ip", "address", "add", "192.0.2.77/24", "dev", world.UPLINK)
    await plane.synchronise(DataPlaneState({}, {}))
    guest = await make_guest(plane, 2)
    link = str(plane.ranges.host_end().ip)
    world.sh("nft", "flush", "ruleset")
    for address in (world.HOST_ADDRESS, "192.0.2.77", link):
        assert not reaches(guest, address, host_listener), address
        assert not guest.pings(address, seconds=1)
    with guest.serving(22):  # the host itself still reaches the guest's published and attached addresses
        await plane.synchronise(DataPlaneState({LinkKey("guest-2"): LINKS[LinkKey("guest-2")]}, {}))
    assert not reaches(guest, world.HOST_ADDRESS, host_listener)


async def test_proxy_arp_answers_a_guest_that_asks_for_any_address(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    # A guest that believes everybody to be on its link asks for them by ARP.
    guest.run("ip", "route", "replace", f"{world.CLIENT_ADDRESS}/32", "dev", "eth0")
    assert guest.pings(world.CLIENT_ADDRESS)


async def test_a_route_flush_of_the_link_does_not_keep_the_next_start_from_working(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    world.sh("ip", "route", "flush", "dev", "vsh-0000a1")
    world.sh(*INSIDE, "ip", "route", "flush", "dev", "up0")
    await plane.start()
    with internet.serving(22):
        assert reaches(guest, world.CLIENT_ADDRESS, 22)
