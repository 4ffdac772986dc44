"""VPCs: guests on one talk on layer 2 as they like, under their own MACs, and with nobody beside it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import TYPE_CHECKING

import pytest

from harness import fabric_world as world
from harness.fabric_village import EVERYBODY, MARK, arp, ethernet, ipv4, octets, udp
from harness.waiting import eventually
from virtualserver.fabric.desired.state import DataPlaneState, LinkKey
from virtualserver.fabric.kernel import taps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from virtualserver.fabric.dataplane import DataPlane

INSIDE = ("nsenter", "--net=/run/netns/vs-t1")
GATEWAY = "169.254.1.1"
AFTER = b"the honest frame that follows"

MakeMember = Callable[..., Awaitable[world.Guest]]


@pytest.fixture
def make_member(plane: DataPlane) -> Iterator[MakeMember]:
    """Return what makes a guest on a VPC: its link, and the machine behind it; it has no address."""
    guests: list[world.Guest] = []

    async def make(number: int, vpc: str = "a", *, mtu: int = 1500) -> world.Guest:
        link = world.a_vpc_link(number, vpc, mtu=mtu)
        await plane.set_link(f"guest-{number}", link, nic=f"vpc-{vpc}")
        guest = world.Guest(f"{vpc}{number}", link.device, plane.open_tap(link.device), link.mac)
        guest.run("ip", "link", "set", "eth0", "mtu", str(mtu))
        guests.append(guest)
        return guest

    yield make
    for guest in guests:
        guest.close()


def take(guest: world.Guest, address: str) -> None:
    guest.run("ip", "address", "add", address, "dev", "eth0")


@contextlib.contextmanager
def ear(node: world.Node) -> Generator[socket.socket, None, None]:
    with node.socket(socket.SOCK_RAW, socket.AF_PACKET, 0x0300) as listening:
        yield listening


def heard(ear: socket.socket, *, until: bytes, seconds: float = 5) -> list[bytes]:
    """Return the frames that arrive up to one with some bytes in it."""
    frames: list[bytes] = []
    ear.settimeout(seconds)
    while not frames or until not in frames[-1]:
        frames.append(ear.recv(70000))
    return frames


def tagged(payload: bytes, *, source: str, vlan: int) -> bytes:
    return octets(EVERYBODY) + octets(source) + struct.pack(">HHH", 0x8100, vlan, 0x88B5) + payload


def flows() -> int:
    return int(world.sh(*INSIDE, "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))


async def test_members_talk_on_layer_2_as_they_like(plane: DataPlane, make_member: MakeMember) -> None:
    """Own subnets, broadcast, multicast, VLANs of their own, IPv6, jumbo frames; the kernel tracks none of it."""
    one, two = await make_member(1, mtu=9000), await make_member(2, mtu=9000)
    before = flows()
    for number, guest in ((1, one), (2, two)):
        take(guest, f"192.168.7.{number}/24")
        guest.run("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=0", "net.ipv4.icmp_echo_ignore_broadcasts=0")
        guest.run("ip", "address", "add", f"fd00::{number}/64", "dev", "eth0", "nodad")
    assert one.pings("192.168.7.2")
    one.run("ping", "-c", "1", "-w", "5", "-q", "-M", "do", "-s", "8972", "192.168.7.2")
    assert one.pings("fd00::2")
    assert one.pings("ff02::1%eth0")
    one.run("ping", "-b", "-c", "1", "-w", "5", "-q", "192.168.7.255")
    with two.serving(7), two.serving(7, protocol="udp"):
        assert one.tcp("192.168.7.2", 7) == "192.168.7.1"
        assert one.udp("192.168.7.2", 7) == "192.168.7.1"
    with ear(two) as listening:
        for group in ("01:00:5e:01:02:03", "33:33:00:01:02:03", "01:80:c2:00:00:0e", EVERYBODY):
            one.send(ethernet(MARK, source=one.mac, target=group, kind=0x88B5))
            assert heard(listening, until=MARK)
        one.send(tagged(bytes(9000 - 4 - len(MARK)) + MARK, source=one.mac, vlan=7))
        # This kernel's packet sockets show the tag apart from the frame.
        assert len(heard(listening, until=MARK)[-1]) in (9014 - 4, 9014)
    assert flows() == before


async def test_a_member_may_be_router_and_dhcp_server_of_its_vpc(make_member: MakeMember) -> None:
    server, client = await make_member(1), await make_member(2)
    take(server, "192.168.7.1/24")
    options = ("--no-daemon", "--conf-file=/dev/null", "--port=0", "--leasefile-ro", "--no-ping", "--user=root")
    running = server.start(
        "dnsmasq", *options, "--dhcp-range=192.168.7.50,192.168.7.60,1h", "--interface=eth0", "--pid-file="
    )
    try:
        told = eventually(client.dhcp, what="a lease of the member's own DHCP server", seconds=30)
    finally:
        running.terminate()
        running.communicate()
    assert told is not None
    assert told["router"] == "192.168.7.1"
    assert told["ip"].startswith("192.168.7.5") or told["ip"] == "192.168.7.60"


@pytest.mark.parametrize("vlan", [None, 7])
async def test_a_foreign_source_mac_is_dropped_and_counted_for_its_nic(
    plane: DataPlane, make_member: MakeMember, vlan: int | None
) -> None:
    liar, victim = await make_member(1), await make_member(2)

    def frame(payload: bytes, source: str) -> bytes:
        if vlan is not None:
            return tagged(payload, source=source, vlan=vlan)
        return ethernet(payload, source=source, target=EVERYBODY, kind=0x88B5)

    with ear(victim) as listening:
        for lie in (victim.mac, "02:00:00:00:00:99", taps.MAC, EVERYBODY):
            liar.send(frame(MARK, lie))
        liar.send(frame(AFTER, liar.mac))
        assert not any(MARK in one for one in heard(listening, until=AFTER))
    said = await plane.traffic()
    assert said["nic-a1"].dropped == {"mac": 3}  # the kernel itself takes no group for a source
    assert said["nic-a2"].dropped == {}


async def test_a_foreign_source_mac_stays_out_while_the_rules_are_gone(
    plane: DataPlane, make_member: MakeMember
) -> None:
    """Nobody repairs here, so the moment between a firewall's reload and the repair lasts as long as is looked."""
    liar, victim, third = await make_member(1), await make_member(2), await make_member(3)
    world.sh(*INSIDE, "nft", "flush", "ruleset")
    with ear(victim) as listening:
        for lie in (victim.mac, third.mac, "02:00:00:00:00:99", taps.MAC):
            liar.send(ethernet(MARK, source=lie, target=EVERYBODY, kind=0x88B5))
            liar.send(ethernet(MARK, source=lie, target=victim.mac, kind=0x88B5))
            liar.send(tagged(MARK, source=lie, vlan=7))
        # Whose MAC was claimed sends on, and so does who claimed it, under its own.
        third.send(ethernet(AFTER, source=third.mac, target=victim.mac, kind=0x88B5))
        liar.send(ethernet(AFTER, source=liar.mac, target=EVERYBODY, kind=0x88B5))
        frames = [*heard(listening, until=AFTER), *heard(listening, until=AFTER)]
        assert not any(MARK in one for one in frames)
        assert {one[6:12].hex(":") for one in frames} >= {liar.mac, third.mac}
    learnt = world.sh(*INSIDE, "bridge", "fdb", "show", "br", "vpc-a")
    assert "02:00:00:00:00:99" not in learnt, "nor does a flood of MACs fill the kernel's table"
    take(liar, "192.168.7.1/24")
    take(victim, "192.168.7.2/24")
    assert liar.pings("192.168.7.2")


async def test_nothing_crosses_to_another_vpc_the_cluster_network_or_the_host(
    plane: DataPlane, make_member: MakeMember, make_guest: world.MakeGuest, internet: world.Node
) -> None:
    member, friend, stranger = await make_member(1), await make_member(2), await make_member(1, "b")
    cluster = await make_guest(plane, 3)
    take(member, "10.42.0.77/16")
    for address in (GATEWAY, "10.42.0.3", "198.19.0.2", "198.19.0.1"):
        assert not member.pings(address, seconds=1), address
    before = flows()
    bridge = taps.MAC
    packets = [ipv4(udp(), source="10.42.0.77", target=one) for one in ("10.42.0.3", world.CLIENT_ADDRESS, GATEWAY)]
    frames = [ethernet(packet, source=member.mac, target=mac) for packet in packets for mac in (bridge, EVERYBODY)]
    frames.append(ethernet(MARK, source=member.mac, target=EVERYBODY, kind=0x88B5))
    frames.append(ethernet(arp(sender_mac=member.mac, sender=GATEWAY), source=member.mac, target=EVERYBODY, kind=0x806))
    with ear(friend) as near, ear(stranger) as far, ear(cluster) as beside, ear(internet) as outside:
        for frame in frames:
            member.send(frame)
        member.send(ethernet(AFTER, source=member.mac, target=EVERYBODY, kind=0x88B5))
        assert len([one for one in heard(near, until=AFTER) if MARK in one]) >= 4
        for other in (far, beside, outside):
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    assert MARK not in other.recv(70000)
    assert flows() == before


async def test_a_bridge_is_there_as_long_as_a_nic_is_on_it(plane: DataPlane, make_member: MakeMember) -> None:
    one, two = await make_member(1), await make_member(2)
    links = {LinkKey(f"guest-{number}", "vpc-a"): world.a_vpc_link(number) for number in (1, 2)}
    assert await plane.synchronise(DataPlaneState(links, {})) == 0
    take(one, "192.168.7.1/24")
    take(two, "192.168.7.2/24")
    assert one.pings("192.168.7.2")
    await plane.remove_link("guest-1", nic="vpc-a")
    assert "vpc-a" in world.sh(*INSIDE, "ip", "-o", "link")
    await plane.remove_link("guest-2", nic="vpc-a")
    left = world.sh(*INSIDE, "ip", "-o", "link")
    assert "vpc-a" not in left and "nic-a" not in left
    assert "nic-a" not in world.sh(*INSIDE, "nft", "list", "set", "bridge", "virtualserver", "guard_frame")


async def test_a_link_is_made_in_15_ms(plane: DataPlane) -> None:
    took: list[float] = []
    for number in range(1, 21):
        begin = time.perf_counter()
        await plane.set_link(f"guest-{number}", world.a_vpc_link(number), nic="vpc-a")
        took.append(time.perf_counter() - begin)
    median = sorted(took)[len(took) // 2]
    print(f"a link on a VPC is made in {median * 1000:.1f} ms")
    assert world.is_in_time(median, within=0.015)


# Watched and put back -----------------------------------------------------------------------------------------------

DAMAGES = {
    ("nft", "flush", "ruleset"): "nftables rules of the namespace",
    ("nft", "flush", "set", "bridge", "virtualserver", "guard_frame"): "guard of nic-a1",
    ("nft", "insert", "rule", "bridge", "virtualserver", "guard", "accept"): "nftables rules of the namespace",
    ("ip", "link", "delete", "vpc-a"): "bridge vpc-a",
    ("ip", "link", "set", "vpc-a", "down"): "bridge vpc-a",
    ("ip", "link", "set", "vpc-a", "type", "bridge", "mcast_snooping", "1"): "bridge vpc-a",
    ("ip", "link", "set", "nic-a1", "nomaster"): "tap nic-a1",
    ("bridge", "link", "set", "dev", "nic-a1", "locked", "off"): "tap nic-a1",
    ("bridge", "link", "set", "dev", "nic-a1", "learning", "on"): "tap nic-a1",
    ("bridge", "fdb", "delete", world.a_vpc_link(1).mac, "dev", "nic-a1", "master"): "tap nic-a1",
    ("bridge", "fdb", "add", "02:00:00:00:00:99", "dev", "nic-a1", "master", "static"): "tap nic-a1",
    ("ip", "link", "set", "nic-a1", "down"): "tap nic-a1",
    ("ip", "link", "set", "nic-a1", "mtu", "1300"): "tap nic-a1",
    ("ip", "link", "delete", "nic-a1"): "tap nic-a1",
    ("ip", "link", "add", "vpc-stray", "type", "bridge"): "bridge vpc-stray",
    ("sysctl", "-qw", "net.ipv4.conf.vpc-a.proxy_arp=1"): "bridge vpc-a",
    ("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1"): "setting net.bridge.bridge-nf-call-iptables",
}


LINKS = {LinkKey(f"guest-{n}", f"vpc-{v}"): world.a_vpc_link(n, v) for n, v in ((1, "a"), (2, "a"), (1, "b"))}


@pytest.fixture
async def follower(plane: DataPlane) -> AsyncIterator[world.Follower]:
    """A data plane with three links on two VPCs, watched, and quiet by now."""
    await plane.synchronise(DataPlaneState(LINKS, {}))
    async with world.following(plane, quiet_seconds=1.2) as follower:
        yield follower


async def test_what_somebody_takes_away_is_put_back_and_told(plane: DataPlane, follower: world.Follower) -> None:
    for damage, what in DAMAGES.items():
        world.sh(*INSIDE, *damage)
        assert world.is_in_time(await follower.until_told()), damage
        async with asyncio.timeout(5):
            while what not in [repair.what for repair in follower.told]:
                await asyncio.sleep(0.01)
        assert await plane.synchronise(DataPlaneState(LINKS, {})) == 0, damage
        follower.told.clear()
    await asyncio.sleep(1.2)
    assert follower.told == []
