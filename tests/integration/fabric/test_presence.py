"""What is seen of single owners in the kernel, and of a guest on its wire, at one moment."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from harness import fabric_world as world
from harness.fabric_village import EVERYBODY, ethernet, ipv4, udp
from virtualserver.api.network_path import Answer
from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.state import FloatingAddress, PublishedPort, ServiceRules
from virtualserver.node.served.asking import MOST_PORTS, ask

if TYPE_CHECKING:
    from virtualserver.fabric.dataplane import DataPlane

FRONT, FLOATING = ip_address("203.0.113.5"), ip_address("203.0.113.6")
OWN, OTHER = ip_address("10.42.0.2"), ip_address("10.42.0.3")
SOME = (ip_network("192.0.2.0/24"), ip_network("198.51.100.7/32"))
EVERY_KIND = ServiceRules(
    ports=frozenset(
        {
            PublishedPort(FRONT, 80, "TCP", OWN, 8080),
            PublishedPort(FRONT, 81, "TCP", OWN, 8081, SOME),
            *(PublishedPort(FRONT, 82, "TCP", target, 8082) for target in (OWN, OTHER)),
            *(PublishedPort(FRONT, 83, "UDP", target, 8083, SOME) for target in (OWN, OTHER)),
        }
    ),
    announced=frozenset({FRONT, FLOATING}),
    withheld=frozenset({PublishedPort(FRONT, 84, "TCP", OWN, 8084), PublishedPort(FRONT, 85, "TCP", OWN, 8085, SOME)}),
    floating=frozenset({FloatingAddress(FLOATING, OWN, SOME, decided=frozenset({("TCP", 22)}))}),
)


def nft(command: str) -> None:
    world.sh("nsenter", "--net=/run/netns/vs-t1", "nft", command)


async def test_what_somebody_took_away_is_absent_and_nothing_else(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    await make_guest(plane, 2)
    await plane.set_service("web", EVERY_KIND)
    assert await plane.absent(["web", "nobody"]) == {"web": frozenset(), "nobody": frozenset()}
    assert await plane.absent_of_nic("guest-2", "default") == frozenset()
    for element in (
        "published { 203.0.113.5 . tcp . 80 }",
        "published_to { 203.0.113.5 . tcp . 81 . 192.0.2.0/24 }",
        "spread { 203.0.113.5 . tcp . 82 }",
        "floating_to { 203.0.113.6 . 198.51.100.7 }",
        'guard_ip { "tap-2" . 52:54:00:00:00:02 . 10.42.0.2 }',
    ):
        nft(f"delete element inet virtualserver {element}")
    assert {(one.kind, one.key) for one in (await plane.absent(["web"]))["web"]} == {
        (entries.PUBLISHED[4], "203.0.113.5 . tcp . 80"),
        (entries.PUBLISHED_TO[4], "203.0.113.5 . tcp . 81"),
        (entries.SPREAD[4], "203.0.113.5 . tcp . 82"),
        (entries.FLOATING_TO[4], "203.0.113.6"),
    }
    assert {one.kind for one in await plane.absent_of_nic("guest-2", "default")} == {entries.GUARD_IP[4]}
    nft("add element inet virtualserver published { 203.0.113.5 . tcp . 80 : 10.42.0.3 . 8080 }")
    assert len((await plane.absent(["web"]))["web"]) == 4, "what leads to another guest is not what was asked for"
    world.sh("nsenter", "--net=/run/netns/vs-t1", "ip", "link", "set", "tap-2", "down")
    assert {one.kind for one in await plane.absent_of_nic("guest-2", "default")} == {entries.GUARD_IP[4], entries.TAP}


async def test_what_is_dropped_of_one_guest_is_told_without_a_look_at_others(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    frame = ethernet(ipv4(udp(), source=str(OTHER), target=world.CLIENT_ADDRESS), target=EVERYBODY)
    for _ in range(3):
        guest.send(frame)

    async def told() -> dict[str, dict[str, int]]:
        return await plane.dropped(["tap-2", "nobody"])

    while (await told())["tap-2"].get("address", 0) < 3:
        await asyncio.sleep(0.01)
    assert (await told())["tap-2"]["address"] == (await plane.traffic())["tap-2"].dropped["address"] == 3
    assert (await told()).keys() == {"tap-2"}


async def test_a_guest_is_heard_by_its_own_address_and_its_ports_say_what_they_do(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await make_guest(plane, 4, configured=False)
    assert await plane.heard(world.a_link(2)) == {OWN: guest.mac}
    assert await plane.heard(world.a_link(4)) == {}
    assert await plane.heard(world.a_link(7)) is None, "there is no such tap"
    guest.run("nft", "table inet own { chain own { type filter hook input priority 0; tcp dport 8082 drop; }; }")
    with guest.serving(8080):
        told = await ask(plane.open_socket, OWN, {8080, 8081, 8082})
    assert told == {8080: Answer.ANSWERS, 8081: Answer.REFUSED, 8082: Answer.SILENT}
    many = await ask(plane.open_socket, OWN, set(range(1, 200)))
    assert len(many) == MOST_PORTS, "no more are asked, however many there are"
