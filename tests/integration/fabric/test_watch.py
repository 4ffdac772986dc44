"""What somebody else takes away or changes of ours is put back within a second, and told once."""

from __future__ import annotations

import array
import asyncio
import contextlib
import errno
import fcntl
import json
import os
import socket
import struct
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import fabric_world as world
from virtualserver.fabric import repairs
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired import contest, entries
from virtualserver.fabric.desired.state import DataPlaneState, LinkKey, PublishedPort, ServiceRules
from virtualserver.fabric.kernel import elements
from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.kernel.namespace import Namespace
from virtualserver.fabric.kernel.netfilter import Netfilter
from virtualserver.fabric.kernel.notices import Notices, doubts_inside
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


PUBLIC = ip_address("203.0.113.7")
INSIDE = ("nsenter", "--net=/run/netns/vs-t1")
VSH = "vsh-0000a1"
FORWARD = ("nft", "list", "chain", "inet", "virtualserver", "forward")
PORT = PublishedPort(PUBLIC, 22, "TCP", ip_address("10.42.0.2"), 22)
STATE = DataPlaneState(
    {LinkKey("guest-2"): world.a_link(2), LinkKey("guest-3"): world.a_link(3, "203.0.113.9")},
    {"web": ServiceRules(frozenset({PORT}), frozenset({PUBLIC}))},
)


@pytest.fixture
async def follower(plane: DataPlane) -> AsyncIterator[world.Follower]:
    """A data plane with two links and a Service, watched, and quiet by now."""
    await plane.synchronise(STATE)
    async with world.following(plane, quiet_seconds=1.2) as follower:
        yield follower


async def test_what_we_change_ourselves_is_nobody_elses_change(plane: DataPlane, follower: world.Follower) -> None:
    for number in range(4, 8):
        await plane.set_link(f"guest-{number}", world.a_link(number))
        port = PublishedPort(PUBLIC, 8000 + number, "TCP", ip_address(f"10.42.0.{number}"), 22)
        await plane.set_service(f"service-{number}", ServiceRules(frozenset({port}), frozenset({PUBLIC})))
        await asyncio.sleep(0.1)
    for number in range(4, 8):
        await plane.remove_service(f"service-{number}")
        await plane.remove_link(f"guest-{number}")
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.2)
    assert follower.told == []


async def test_what_we_change_ourselves_is_not_looked_at_again(plane: DataPlane) -> None:
    notices = await Namespace("vs-t1").visit(Notices)
    notices.follow(asyncio.Event())
    link, rules = world.a_link(2), ServiceRules(announced=frozenset({PUBLIC}))
    try:
        await plane.set_link("guest-2", link)
        await plane.set_service("web", rules)
        await asyncio.sleep(0.1)  # what is told is read when the loop turns
        told = notices.take()
        assert told.links, "notices of others come this way too"
        assert not doubts_inside(told, entries.of_link(link) | entries.of_service("web", rules), mtu=1500)
        await plane.remove_service("web")
        await asyncio.sleep(0.1)
        assert not doubts_inside(notices.take(), entries.of_link(link), mtu=1500)
    finally:
        notices.close()


async def test_what_the_machine_itself_becomes_is_nobody_elses_change(
    plane: DataPlane, follower: world.Follower
) -> None:
    changes = (
        ("ip", "link", "add", "office0", "type", "veth", "peer", "name", "office1"),
        ("ip", "link", "set", "office1", "up"),
        ("ip", "address", "add", "100.64.99.1/24", "dev", "office0"),
        ("ip", "link", "set", "office0", "up"),
        ("ip", "route", "add", "default", "via", "100.64.99.2", "dev", "office0", "metric", "50"),
        ("ip", "address", "add", "100.64.98.1/24", "dev", "office0"),
        ("ip", "address", "delete", "100.64.98.1/24", "dev", "office0"),
    )
    for change in changes:
        world.sh(*change)
        await asyncio.sleep(0.2)
    await asyncio.sleep(1.2)
    assert follower.told == []
    assert "100.64.99.1" in world.sh(*INSIDE, "nft", "list", "chain", "inet", "virtualserver", "new_flow")
    assert world.sh("sysctl", "-n", "net.ipv4.conf.office0.forwarding").strip() == "1"
    world.sh("sysctl", "-qw", "net.ipv4.conf.office0.forwarding=0")
    await follower.until_told()
    assert [repair.what for repair in follower.told] == ["setting forwarding of office0"]


@pytest.mark.parametrize("meanwhile", ["flush ruleset", "flush chain inet virtualserver forward"])
async def test_what_somebody_does_while_the_rules_are_loaded_is_not_taken_for_ours(
    plane: DataPlane, follower: world.Follower, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    load = Netfilter.load
    rounds: list[str] = []

    def disturbed(netfilter: Netfilter, commands: Iterable[str]) -> None:
        text = list(commands)
        load(netfilter, text)
        if not rounds and any("chain from_guest" in command for command in text):
            rounds.append(meanwhile)
            world.sh(*INSIDE, "nft", meanwhile)

    monkeypatch.setattr(Netfilter, "load", disturbed)
    world.sh(*INSIDE, "nft", "flush", "ruleset")
    await follower.until_told()

    def stands() -> bool:
        return "policy drop" in (chain := world.sh(*INSIDE, *FORWARD, check=False)) and "established" in chain

    async with asyncio.timeout(5):
        while not (rounds and stands()):
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.2)
    assert await plane.synchronise(STATE) == 0
    assert stands()


async def test_a_damaged_memory_of_the_rules_is_made_anew(plane: DataPlane, follower: world.Follower) -> None:
    for name in ("namespace", "host"):
        Path("/run/t1", f"rules-{name}.json").write_text("")
    world.sh(*INSIDE, "nft", "add", "table", "inet", "of_others")
    world.sh("nft", "add", "table", "inet", "of_others")
    await follower.until_told()
    assert await plane.synchronise(STATE) == 0
    for name in ("namespace", "host"):
        assert json.loads(Path("/run/t1", f"rules-{name}.json").read_text())["listing"]


async def test_a_change_in_the_midst_of_a_flush_is_made_and_the_flush_is_told(
    plane: DataPlane, follower: world.Follower
) -> None:
    port = PublishedPort(PUBLIC, 80, "TCP", ip_address("10.42.0.2"), 80)
    world.sh(*INSIDE, "nft", "delete", "table", "inet", "virtualserver")
    await plane.set_service("other", ServiceRules(frozenset({port}), frozenset({PUBLIC})))
    await follower.until_told()
    whats = {repair.what for repair in follower.told}
    assert any(what.startswith("nftables rules") for what in whats)
    assert "published port 203.0.113.7 tcp 22" in whats
    assert not any("tcp 80" in what for what in whats)
    assert await plane.remove_service("other") > 0
    assert await plane.synchronise(STATE) == 0


async def test_a_flush_inside_lets_nothing_through_and_all_is_back_within_a_second(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    async with world.following(plane) as follower:
        await asyncio.sleep(1.2)
        with internet.serving(22), guest.serving(22):
            for _ in range(3):
                follower.told.clear()
                world.sh(*INSIDE, "nft", "flush", "ruleset")
                assert world.is_in_time(await follower.until_told())
                assert await asyncio.to_thread(guest.tcp, world.CLIENT_ADDRESS, 22) == world.HOST_ADDRESS


async def test_who_takes_rules_away_for_ever_is_told_once_and_the_door_stays_closed(
    plane: DataPlane, follower: world.Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "_SECONDS", 60.0)  # for a slow machine
    async with asyncio.timeout(60):
        while not follower.contested:
            world.sh(*INSIDE, "nft", "flush", "ruleset")
            await asyncio.sleep(0.03)
    rules = [told for told in follower.told if told.what == "nftables rules of the namespace"]
    assert len(rules) == 19
    assert any(one.what.startswith("nftables rules of the namespace") for one in follower.contested)
    follower.contested.clear()
    follower.told.clear()
    for _ in range(5):
        world.sh(*INSIDE, "nft", "flush", "ruleset")
        assert "50:\tnot from all fwmark 0x5653 prohibit" in world.sh(*INSIDE, "ip", "rule")
        await asyncio.sleep(0.2)
    assert not any(told.what.startswith("nftables rules") for told in (*follower.told, *follower.contested))
    async with asyncio.timeout(10):
        while "policy drop" not in world.sh(*INSIDE, *FORWARD, check=False):
            await asyncio.sleep(0.1)
    lines = [repair.what for repair in repairs.read(Path("/run/t1"))]
    assert any(line.startswith("nftables rules") and line.endswith(", again and again") for line in lines)


class Holder:
    """Who has a guest's tap open, as a machine has."""

    def __init__(self) -> None:
        self.guest: world.Guest | None = None
        self.refusal: OSError | None = None

    def cut_off(self) -> list[str]:
        return self.guest.cut_off() if self.guest else []

    def borrow_tap(self, device: str) -> int:
        assert self.guest
        if self.refusal:
            raise self.refusal
        return self.guest.borrow_tap(device)


async def test_a_deleted_tap_is_given_back_to_whoever_has_it_open(
    internet: world.Node, make_guest: world.MakeGuest
) -> None:
    """Fault 31: the guest goes on; where the kernel refuses that, it is said why, and tried until it can be."""
    holder = Holder()
    chosen = ranges.choose(await ranges.networks_in_use())
    plane = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"), holders=holder)
    await plane.start()
    holder.guest = guest = await make_guest(plane, 2)
    follower = world.Follower(plane)

    async def until(reached: bool) -> None:
        async with asyncio.timeout(10):
            while await asyncio.to_thread(guest.pings, world.CLIENT_ADDRESS, seconds=1) != reached:
                await asyncio.sleep(0.05)

    try:
        await until(True)
        for _ in range(2):
            follower.told.clear()
            world.sh(*INSIDE, "ip", "link", "delete", "tap-2")
            await follower.until_told()
            await until(True)
            assert plane.cut_off("tap-2") == ""
            assert [repair.what for repair in follower.told].count("tap tap-2") == 1
        holder.refusal = PermissionError(errno.EPERM, "Operation not permitted")
        follower.told.clear()
        world.sh(*INSIDE, "ip", "link", "delete", "tap-2")
        await follower.until_told()
        await until(False)
        assert plane.cut_off("tap-2") == "Operation not permitted"
        holder.refusal = None
        await until(True)
        assert plane.cut_off("tap-2") == ""
        # While nobody watches, too: the next start gives it back.
        await follower.close()
        world.sh(*INSIDE, "ip", "link", "delete", "tap-2")
        await plane.synchronise(DataPlaneState({LinkKey("guest-2"): world.a_link(2)}, {}))
        await until(True)
    finally:
        await follower.close()
        await plane.stop()


SET_OFFLOAD, CHECKSUMS_AND_SEGMENTS = 0x400454D0, 0x1 | 0x2
"""What QEMU asks of a tap once its guest takes segments of any size, with their checksums left out."""


def segments(device: str, *, wanted: bool | None = None) -> bool:
    """Return whether a tap leaves TCP segments uncut, after somebody has asked for that as `ethtool` does."""

    def ask(command: int, value: bool = False) -> bool:
        content = array.array("B", struct.pack("=II", command, value))
        with socket.socket() as opened:
            fcntl.ioctl(opened, 0x8946, struct.pack("16sP", device.encode(), content.buffer_info()[0]))
        return bool(struct.unpack("=II", content)[1])

    inside = Namespace("vs-t1")
    if wanted is not None:
        inside.call(lambda: ask(0x1F, wanted))  # ETHTOOL_STSO
    return inside.call(lambda: ask(0x1E))  # ETHTOOL_GTSO


async def test_a_tap_that_is_given_back_sends_no_frame_larger_than_the_mtu_whoever_asks_for_it(
    internet: world.Node, make_guest: world.MakeGuest
) -> None:
    """What a guest takes was told to the old tap; of a new one nobody knows that it does."""
    holder = Holder()
    chosen = ranges.choose(await ranges.networks_in_use())
    plane = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"), holders=holder)
    await plane.start()
    holder.guest = guest = await make_guest(plane, 2)
    try:
        opened = guest.borrow_tap("tap-2")
        fcntl.ioctl(opened, SET_OFFLOAD, CHECKSUMS_AND_SEGMENTS)
        os.close(opened)
        assert segments("tap-2")
        async with world.following(plane) as follower:
            world.sh(*INSIDE, "ip", "link", "delete", "tap-2")
            await follower.until_told()
        assert not segments("tap-2")
        assert not segments("tap-2", wanted=True)
        with internet.serving(22), guest.socket(socket.SOCK_RAW, socket.AF_PACKET, 0x0300) as ear:
            ear.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
            with guest.connect(world.CLIENT_ADDRESS, 22) as connection:
                connection.recv(100)
                connection.sendall(bytes(300_000))
                received = 0
                while received < 300_000:
                    received += len(connection.recv(1 << 16))
            ear.setblocking(False)
            sizes: list[int] = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    frame, about = ear.recvfrom(1 << 17)
                    sizes += [] if about[2] == socket.PACKET_OUTGOING else [len(frame)]
        assert max(sizes) == 1514
    finally:
        await plane.stop()


async def test_what_cannot_be_put_right_is_said_once_and_tried_until_it_can(
    plane: DataPlane, follower: world.Follower, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(delta: object) -> object:
        raise KernelError("nftables refused a change: Operation not permitted")

    with monkeypatch.context() as broken:
        broken.setattr(elements, "transaction", refuse)
        world.sh(*INSIDE, "nft", "flush", "map", "inet", "virtualserver", "published")
        await asyncio.sleep(2.5)
        assert follower.told == []
        assert len([record for record in caplog.records if "Operation not permitted" in record.message]) == 1
    await follower.until_told()
    assert [repair.what for repair in follower.told] == ["published port 203.0.113.7 tcp 22"]
