"""Each thing that somebody may take away or change of ours: it is put back within a second, and told once.

One data plane lives through all of it, one damage after the other: what one of them leaves would be seen by the next.
"""

from __future__ import annotations

import asyncio
import json
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import fabric_world as world
from virtualserver.fabric import dataplane, repairs
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import DataPlaneState, LinkKey, PublishedPort, ServiceRules
from virtualserver.fabric.kernel.watch import KernelWatch
from virtualserver.installation import ranges

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from virtualserver.fabric.kernel.attachment import Attachment

PUBLIC = ip_address("203.0.113.7")
INSIDE = ("nsenter", "--net=/run/netns/vs-t1")
VSH = "vsh-0000a1"
PORT = PublishedPort(PUBLIC, 22, "TCP", ip_address("10.42.0.2"), 22)
STATE = DataPlaneState(
    {LinkKey("guest-2"): world.a_link(2), LinkKey("guest-3"): world.a_link(3, "203.0.113.9")},
    {"web": ServiceRules(frozenset({PORT}), frozenset({PUBLIC}))},
)

TABLE = "inet virtualserver"
OTHER_CHAIN = f"add table {TABLE}; add chain {TABLE} guard {{ type filter hook input priority 0; }}"
OTHER_SET = f"add set {TABLE} direct {{ type ether_addr; }}"
DAMAGES = {
    ("nft", "flush", "ruleset"): "nftables rules",
    ("nft", "delete", "table", "inet", "virtualserver"): "nftables rules",
    ("nft", "flush", "chain", "inet", "virtualserver", "forward"): "nftables rules",
    ("nft", "flush", "map", "inet", "virtualserver", "published"): "published port 203.0.113.7 tcp 22",
    ("nft", "add", "element", "inet", "virtualserver", "direct", "{ 198.18.0.99 }"): "attached address 198.18.0.99",
    ("ip", "link", "delete", "tap-2"): "tap tap-2",
    ("ip", "link", "set", "tap-2", "down"): "tap tap-2",
    ("ip", "link", "set", "tap-2", "address", "0a:00:00:00:00:01"): "tap tap-2",
    ("ip", "link", "set", "tap-2", "mtu", "1300"): "tap tap-2",
    ("ip", "link", "set", "tap-2", "arp", "off"): "tap tap-2",
    ("sh", "-c", "ip link add bridge0 type bridge && ip link set tap-2 master bridge0"): "tap tap-2",
    ("sh", "-c", "ip link add bridge1 type bridge && ip link set up0 master bridge1"): "link up0 free",
    ("ip", "link", "set", "up0", "arp", "off"): "link up0 free",
    ("ip", "route", "flush", "table", "local"): "route to 198.19.0.2/32",
    ("ip", "route", "delete", "local", "169.254.1.1", "dev", "tap-3", "table", "local"): "tap tap-3",
    ("ip", "link", "set", "up0", "mtu", "1300"): "MTU of up0",
    ("ip", "link", "set", "up0", "address", "0a:00:00:00:00:01"): "hardware address of up0",
    ("nft", "add", "rule", "inet", "virtualserver", "forward", "drop"): "nftables rules",
    ("nft", "insert", "rule", "inet", "virtualserver", "guard", "accept"): "nftables rules",
    ("ip", "tuntap", "add", "dev", "stray0", "mode", "tap"): "tap stray0",
    ("ip", "address", "delete", "169.254.1.1/32", "dev", "tap-2"): "tap tap-2",
    ("ip", "route", "delete", "10.42.0.2"): "route to 10.42.0.2",
    ("ip", "route", "replace", "10.42.0.2", "dev", "up0", "proto", "static"): "route to 10.42.0.2",
    ("ip", "route", "delete", "unreachable", "203.0.113.0/24"): "route to 203.0.113.0/24",
    ("ip", "route", "delete", "local", str(PUBLIC), "dev", "lo"): f"route to {PUBLIC}",
    ("ip", "route", "flush", "dev", "up0"): "route to 0.0.0.0/0",
    ("ip", "rule", "delete", "pref", "50"): "rule of routing 50",
    ("ip", "rule", "flush"): "rule of routing 32766",
    ("ip", "rule", "delete", "pref", "0"): "rule of routing 0",
    ("ip", "neigh", "replace", "10.42.0.2", "lladdr", "0a:00:00:00:00:09", "dev", "tap-2"): "neighbour 10.42.0.2",
    ("ip", "rule", "add", "pref", "10", "lookup", "main"): "rule of routing 10",
    ("ip", "rule", "add", "pref", "40", "lookup", "main"): "rule of routing 40",
    ("sh", "-c", "ip link delete tap-2 && ip link add tap-2 type veth peer name other0"): "tap tap-2",
    ("sh", "-c", f"nft delete table {TABLE}; nft '{OTHER_CHAIN}; {OTHER_SET}'"): "nftables rules",
    ("ip", "route", "replace", "10.42.0.2/32", "dev", "lo"): "route to 10.42.0.2",
    ("ip", "link", "set", "lo", "down"): "link lo up",
    ("ip", "address", "flush", "dev", "up0"): "address 198.19.0.2/30 on up0",
    ("sysctl", "-qw", "net.ipv4.ip_forward=0"): "setting net.ipv4.ip_forward",
    ("sysctl", "-qw", "net.ipv4.conf.tap-2.rp_filter=0"): "tap tap-2",
    ("sysctl", "-qw", "net.ipv4.conf.tap-2.proxy_arp=0"): "tap tap-2",
    ("sysctl", "-qw", "net.ipv4.conf.tap-3.send_redirects=1"): "tap tap-3",
    ("sysctl", "-qw", "net.ipv4.conf.tap-2.accept_source_route=1"): "tap tap-2",
    ("sysctl", "-qw", "net.ipv4.conf.all.src_valid_mark=0"): "setting net.ipv4.conf.all.src_valid_mark",
    ("ip", "link", "set", "up0", "down"): "link up0 up",
    ("ip", "link", "delete", "up0"): f"link {VSH}",
}
DAMAGES_IN_HOST = {
    ("nft", "flush", "ruleset"): "nftables rules",
    ("nft", "delete", "table", "inet", "vs-t1"): "nftables rules",
    ("ip", "link", "delete", VSH): f"link {VSH}",
    ("ip", "link", "set", VSH, "down"): f"link {VSH} up",
    ("ip", "link", "set", VSH, "mtu", "1300"): f"MTU of {VSH}",
    ("ip", "link", "set", VSH, "arp", "off"): f"link {VSH} free",
    ("sh", "-c", f"ip link add bridge0 type bridge && ip link set {VSH} master bridge0"): f"link {VSH} free",
    ("ip", "link", "set", VSH, "address", "0a:00:00:00:00:01"): f"hardware address of {VSH}",
    ("ip", "route", "delete", "local", "198.19.0.1", "table", "local"): "route to 198.19.0.1/32",
    ("nft", "add", "rule", "inet", "vs-t1", "forward", "drop"): "nftables rules",
    ("ip", "neigh", "replace", "198.19.0.2", "lladdr", "0a:00:00:00:00:09", "dev", VSH): "neighbour 198.19.0.2",
    ("ip", "address", "flush", "dev", VSH): f"address 198.19.0.1/30 on {VSH}",
    ("ip", "route", "delete", "198.18.0.0/24"): "route to 198.18.0.0/24",
    ("ip", "route", "flush", "dev", VSH): "route to 198.19.0.0/30",
    ("sysctl", "-qw", f"net.ipv4.conf.{world.UPLINK}.forwarding=0"): f"setting forwarding of {world.UPLINK}",
    ("sysctl", "-qw", f"net.ipv4.conf.{VSH}.forwarding=0"): f"setting net.ipv4.conf.{VSH}.forwarding",
    ("ip", "netns", "delete", "vs-t1"): "namespace",
}
ALL = [
    *((INSIDE, damage, what) for damage, what in DAMAGES.items()),
    *(((), damage, what) for damage, what in DAMAGES_IN_HOST.items()),
]


class Watch(KernelWatch):
    """Looks at everything when a test asks for it, instead of a second later."""

    def __init__(self, attachment: Attachment) -> None:
        super().__init__(attachment)
        self.rounds = 0

    async def wait(self, pause: float = 0.0) -> None:
        self.rounds += 1
        await super().wait(pause)

    async def look_now(self) -> None:
        """Return once everything was compared, and told where it was not as it should be."""
        self.doubt()
        self._arrived.set()
        async with asyncio.timeout(10):
            while not self._certain:
                await asyncio.sleep(0.01)
            seen = self.rounds
            while self.rounds == seen:
                await asyncio.sleep(0.01)


class Watched:
    """A data plane that is followed; time passes in it only while a test runs something.

    Attributes:
        plane: The data plane.
        follower: Who follows its repairs.
        watch: What the follower waits for.
        runner: Its loop.
    """

    def __init__(self, plane: DataPlane, follower: world.Follower, watch: Watch, runner: asyncio.Runner) -> None:
        self.plane = plane
        self.follower = follower
        self.watch = watch
        self.runner = runner


async def _watched() -> AsyncGenerator[tuple[DataPlane, world.Follower]]:
    chosen = ranges.choose(await ranges.networks_in_use())
    plane = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"))
    try:
        await plane.start()
        await plane.synchronise(STATE)
        async with world.following(plane, quiet_seconds=1.2) as follower:
            yield plane, follower
    finally:
        await plane.stop()


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """A data plane with two links and a Service, watched, and quiet by now."""
    # The loop's threads stand in the machine's folders, so it ends first.
    with world.a_machine(), pytest.MonkeyPatch.context() as patched, asyncio.Runner() as runner:
        watches: list[Watch] = []

        def watching(attachment: Attachment) -> Watch:
            watches.append(Watch(attachment))
            return watches[-1]

        patched.setattr(dataplane, "KernelWatch", watching)
        world.internet()
        life = _watched()
        plane, follower = runner.run(anext(life))
        try:
            yield Watched(plane, follower, watches[-1], runner)
            assert follower.told == [], "something was told again later"
        finally:
            runner.run(life.aclose())


async def _is_put_back(watched: Watched, damage: tuple[str, ...], what: str) -> None:
    follower = watched.follower
    assert follower.told == [], "what was put back before is told again"
    world.sh(*damage)
    assert world.is_in_time(await follower.until_told())
    assert await watched.plane.synchronise(STATE) == 0, "something was not put back"
    assert any(repair.what.startswith(what) for repair in follower.told), follower.told
    assert len(set(follower.told)) == len(follower.told)
    told = list(follower.told)
    await watched.watch.look_now()
    assert follower.told == told, "told again"
    recorded = repairs.read(Path("/run/t1"))[-len(told) :]
    assert [(repair.what, repair.where) for repair in recorded] == [tuple(repair) for repair in told][-20:]
    assert json.loads(Path("/run/t1", repairs.FILE).read_text())["version"] == 1


@pytest.mark.parametrize(
    ("prefix", "damage", "what"), ALL, ids=[f"{'inside' if p else 'host'}: {' '.join(d)}" for p, d, _ in ALL]
)
def test_what_somebody_took_away_is_back_within_a_second_and_told_once(
    watched: Watched, prefix: tuple[str, ...], damage: tuple[str, ...], what: str
) -> None:
    """Fault 31."""
    try:
        watched.runner.run(_is_put_back(watched, (*prefix, *damage), what))
    finally:
        watched.follower.told.clear()


def test_nothing_is_told_again_later(watched: Watched) -> None:
    watched.runner.run(asyncio.sleep(1.3))
    assert watched.follower.told == []
