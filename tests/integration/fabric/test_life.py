"""Starting, repairing, taking over, being blocked, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import re
import signal
import statistics
import subprocess
import time
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.ledger import Delta, Entry
from virtualserver.fabric.desired.names import BRIDGE_PREFIX, PORT_PREFIX
from virtualserver.fabric.desired.repair import Repair
from virtualserver.fabric.desired.state import DataPlaneState, LinkKey, PublishedPort, ServiceRules, VpcLink
from virtualserver.fabric.dhcp import dnsmasq
from virtualserver.fabric.kernel import devices
from virtualserver.fabric.kernel.conntrack import Flows
from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.kernel.namespace import Namespace
from virtualserver.fabric.kernel.pending_cuts import PendingCuts
from virtualserver.fabric.refusals import Refused
from virtualserver.installation import ranges

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

PUBLIC = ip_address("203.0.113.7")
VSH = "vsh-0000a1"
MAP = ("inet", "virtualserver", "published")
INSIDE = ("nsenter", "--net=/run/netns/vs-t1")


def service(port: int = 22, target: str = "10.42.0.2") -> ServiceRules:
    published = PublishedPort(PUBLIC, port, "TCP", ip_address(target), port)
    return ServiceRules(frozenset({published}), frozenset({PUBLIC}), {"web.team.svc.cluster.local": (PUBLIC,)})


def whole() -> DataPlaneState:
    return DataPlaneState(
        {LinkKey("guest-2"): world.a_link(2), LinkKey("guest-3"): world.a_link(3, "203.0.113.9")}, {"web": service()}
    )


async def processes(plane: DataPlane) -> list[int]:
    return [int(item["detail"].removeprefix("pid ")) for item in await plane.inventory() if item["kind"] == "process"]


async def test_a_second_synchronisation_changes_nothing(plane: DataPlane) -> None:
    assert await plane.synchronise(whole()) > 0
    assert await plane.synchronise(whole()) == 0
    assert await plane.set_link("guest-2", world.a_link(2)) == 0
    assert await plane.set_service("web", service()) == 0


async def test_what_is_faulty_of_one_owner_is_left_out_and_keeps_back_nothing_of_others(
    plane: DataPlane, caplog: pytest.LogCaptureFixture
) -> None:
    good, faulty = world.a_link(2), dataclasses.replace(world.a_link(3), hostname="-\n")
    links = {LinkKey("guest-3"): faulty, LinkKey("guest-2"): good}
    assert await plane.synchronise(DataPlaneState(links, {"web": service(port=0), "mail": service()})) > 0
    told = [record.getMessage() for record in caplog.records]
    assert any("link guest-3" in one and "hostname" in one for one in told), told
    assert any("service web" in one and "ports: 0" in one for one in told), told
    names = {item["name"] for item in await plane.inventory()}
    assert good.device in names and faulty.device not in names
    assert "hostname" in plane.why_left_out("guest-3", nic="default") and "ports: 0" in plane.why_left_out("web")
    assert plane.why_left_out("guest-2", nic="default") == plane.why_left_out("mail") == ""
    assert await plane.synchronise(DataPlaneState({LinkKey("guest-2"): good}, {"mail": service()})) == 0
    assert plane.why_left_out("web") == ""


@pytest.mark.parametrize(
    "damage",
    [
        (*INSIDE, "nft", "flush", "chain", "inet", "virtualserver", "from_guest"),
        (*INSIDE, "nft", "delete", "table", "inet", "virtualserver"),
        (*INSIDE, "nft", "flush", "map", "inet", "virtualserver", "published"),
        (*INSIDE, "nft", "add", "element", "inet", "virtualserver", "direct", "{ 198.18.0.99 }"),
        (*INSIDE, "ip", "link", "delete", "tap-2"),
        (*INSIDE, "ip", "link", "set", "tap-2", "down"),
        (*INSIDE, "ip", "address", "delete", "169.254.1.1/32", "dev", "tap-2"),
        (*INSIDE, "ip", "tuntap", "add", "dev", "stray0", "mode", "tap"),
        (*INSIDE, "ip", "route", "delete", "10.42.0.2"),
        (*INSIDE, "ip", "route", "add", "10.42.0.77", "dev", "up0", "proto", "static"),
        (*INSIDE, "ip", "route", "delete", "unreachable", "203.0.113.0/24"),
        (*INSIDE, "ip", "route", "delete", "local", str(PUBLIC), "dev", "lo"),
        (*INSIDE, "sysctl", "-qw", "net.ipv4.ip_forward=0"),
        (*INSIDE, "ip", "link", "set", "up0", "down"),
        ("ip", "link", "delete", "vsh-0000a1"),
        ("ip", "link", "set", "vsh-0000a1", "down"),
        ("ip", "route", "delete", "198.18.0.0/24"),
        ("nft", "flush", "table", "inet", "vs-t1"),
        ("nft", "delete", "table", "inet", "vs-t1"),
        ("sysctl", "-qw", f"net.ipv4.conf.{world.UPLINK}.forwarding=0"),
        ("rm", "/run/t1/names/web"),
        ("rm", "/run/t1/dhcp-host/tap-2"),
        ("sh", "-c", "echo 192.0.2.1 bad.team.svc.cluster.local > /run/t1/names/stray"),
        ("ip", "netns", "delete", "vs-t1"),
    ],
    ids=lambda damage: " ".join(word for word in damage if not word.startswith("--net")),
)
async def test_synchronising_repairs_what_somebody_broke(plane: DataPlane, damage: tuple[str, ...]) -> None:
    await plane.synchronise(whole())
    before = comparable(await plane.inventory())
    world.sh(*damage)
    assert await plane.synchronise(whole()) > 0
    assert comparable(await plane.inventory()) == before
    assert await plane.synchronise(whole()) == 0


def comparable(inventory: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return sorted(
        (item["kind"], item["name"], "" if item["kind"] == "process" else item["detail"]) for item in inventory
    )


LEFT = {
    "host: ip route flush dev": ("ip", "route", "flush", "dev", VSH),
    "host: ip address flush dev": ("ip", "address", "flush", "dev", VSH),
    "inside: ip route flush dev": (*INSIDE, "ip", "route", "flush", "dev", "up0"),
    "inside: ip address flush dev": (*INSIDE, "ip", "address", "flush", "dev", "up0"),
    "inside: tables local and main": (*INSIDE, "sh", "-c", "ip route flush table local; ip route flush table main"),
    "all addresses": ("sh", "-c", f"ip address flush dev {VSH}; {' '.join(INSIDE)} ip address flush dev up0"),
    "no pair": ("ip", "link", "delete", VSH),
    "half a pair elsewhere": ("sh", "-c", f"ip netns add other && {' '.join(INSIDE)} ip link set up0 netns other"),
    "foreign devices of both names": (
        "sh",
        "-c",
        f"ip link delete {VSH} && ip link add {VSH} type veth peer name other0"
        f" && {' '.join(INSIDE)} ip link add up0 type veth peer name other1",
    ),
    "a bridge of guests' tap's name": (
        *INSIDE,
        "sh",
        "-c",
        "ip link delete tap-2 && ip link add tap-2 type veth peer name other0",
    ),
    "a foreign table of our name": (
        "sh",
        "-c",
        "nft delete table inet vs-t1 && nft 'add table inet vs-t1; add chain inet vs-t1 input { type nat hook output"
        " priority 0; }'",
    ),
    "no rules of routing": (*INSIDE, "sh", "-c", "ip rule flush; ip rule delete pref 0"),
    "no run folder": ("rm", "-r", "/run/t1"),
    "a tap elsewhere": ("sh", "-c", f"ip netns add other && {' '.join(INSIDE)} ip link set tap-2 netns other"),
    "no name, and nobody in it": ("sh", "-c", "kill -9 $(cat /run/t1/dnsmasq.pid); ip netns delete vs-t1"),
    "no name": ("ip", "netns", "delete", "vs-t1"),
    "a file instead of the namespace": ("sh", "-c", "ip netns delete vs-t1 && touch /run/netns/vs-t1"),
}


@pytest.mark.parametrize("left", LEFT)
async def test_a_start_makes_the_base_whatever_is_left_of_it(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, left: str
) -> None:
    """Fault 32."""
    guest = await make_guest(plane, 2)
    world.sh(*LEFT[left])
    chosen = ranges.decode(ranges.encode(plane.ranges))
    successor = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"), holders=guest)
    await successor.start()
    desired = DataPlaneState({LinkKey("guest-2"): world.a_link(2)}, {})
    await successor.synchronise(desired)
    assert await successor.synchronise(desired) == 0
    with internet.serving(80):
        told = world.eventually(lambda: guest.tcp(world.CLIENT_ADDRESS, 80, seconds=2), what="the way out")
        assert told == world.HOST_ADDRESS


async def test_a_delta_that_does_not_fit_what_is_there_is_mended_at_once(plane: DataPlane) -> None:
    await plane.synchronise(whole())
    world.sh(*INSIDE, "nft", "flush", "map", "inet", "virtualserver", "published")
    await plane.set_service("web", service(80))
    assert await plane.synchronise(DataPlaneState(whole().links, {"web": service(80)})) == 0


async def test_what_a_killed_node_left_half_written_is_gone_with_the_next_one(plane: DataPlane) -> None:
    await plane.synchronise(whole())
    halves = [Path("/run/t1/.pending-cuts.json.x7"), Path("/run/t1/names/.web.new")]
    for half in halves:
        half.write_text("{")
    successor = DataPlane(installation="t1", identifier="0000a1", ranges=plane.ranges, run=Path("/run/t1"))
    await successor.start()
    assert [half for half in halves if half.exists()] == []
    assert await successor.synchronise(whole()) == 0
    halves[0].write_text("{")
    await successor.stop()
    assert not Path("/run/t1").exists()


async def test_a_refused_transaction_changes_nothing_and_names_the_element(plane: DataPlane) -> None:
    def ports(*numbers: int) -> dict[Entry, str]:
        return {Entry("published", f"203.0.113.7 . tcp . {number}"): "10.42.0.2 . 22" for number in numbers}

    namespace, pending = Namespace("vs-t1"), PendingCuts(Path("/run/t1/pending-cuts.json"))
    ends = [Flows(to=PUBLIC)]
    world.sh(*INSIDE, "nft", "add", "element", *MAP, "{ 203.0.113.7 . tcp . 8080 : 10.42.0.9 . 1 }")
    for delta in (Delta({}, ports(8079, 8080, 8081)), Delta(ports(8082), ports(8079))):
        with pytest.raises(KernelError, match=r"nftables refused .*203\.0\.113\.7 \. tcp \. 808[02].*: "):
            await namespace.visit(lambda delta=delta: devices.change(namespace.netfilter(), delta, 1500, ends, pending))
        assert pending.flows == (), "nor does any flow end"
        listed = world.sh(*INSIDE, "nft", "list", "map", *MAP)
        assert "8079" not in listed and "8080 : 10.42.0.9" in listed
    namespace.leave()


async def test_what_the_kernel_refuses_of_one_owner_holds_nobody_else_up(plane: DataPlane) -> None:
    nobodys = VpcLink(f"{PORT_PREFIX}x", "00:00:00:00:00:00", 0, f"{BRIDGE_PREFIX}x", 1500)  # no card has this MAC
    with pytest.raises(Refused, match="the data plane cannot carry it: hardware address 00:00:00:00:00:00"):
        await plane.set_link("guest-3", nobodys)
    await plane.set_link("guest-2", world.a_link(2))
    await plane.set_service("web", service())
    names = {item["name"] for item in await plane.inventory()}
    assert "tap-2" in names and "203.0.113.7 . tcp . 22" in names
    links = {LinkKey("guest-3", "b"): nobodys, LinkKey("guest-2"): world.a_link(2)}
    await plane.synchronise(DataPlaneState(links, {"web": service()}))
    assert {item["name"] for item in await plane.inventory()} == names, "nor does it when a node takes over"
    assert "hardware address" in plane.why_left_out("guest-3", nic="b")
    assert await plane.set_link("guest-3", world.a_link(3)) > 0, "nor its owner, once it asks for what is possible"
    assert plane.why_left_out("guest-3", nic="default") == ""


async def test_another_process_takes_over_without_a_lost_packet(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", service())
    internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    pids = await processes(plane)
    with guest.serving(22), internet.connect(str(PUBLIC), 22) as flow:
        assert flow.recv(100)
        chosen = ranges.decode(ranges.encode(plane.ranges))
        successor = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"))
        pinging = guest.start("ping", "-c", "60", "-i", "0.02", "-q", world.CLIENT_ADDRESS)
        desired = DataPlaneState({LinkKey("guest-2"): world.a_link(2)}, {"web": service()})
        for _ in range(5):
            await successor.start()
            assert await successor.synchronise(desired) == 0
        shown, _ = pinging.communicate(timeout=60)
        assert "60 packets transmitted, 60 received" in shown
        flow.sendall(b"the flow goes on")
        assert flow.recv(100) == b"the flow goes on"
    assert await processes(successor) == pids


FORMER = """
flush chain inet virtualserver guard
table inet virtualserver {
  chain datagram { type filter hook prerouting priority raw; meta l4proto udp goto whole; }
  chain bound { type filter hook prerouting priority mangle; ct state new goto new_of_guest; }
  chain cut { type filter hook prerouting priority -140; ct state new tcp flags & (syn | rst) == 0x0 goto lost; }
  chain fit { type filter hook forward priority mangle; tcp flags syn tcp option maxseg size set rt mtu; }
  chain guard { iifname "up0" goto from_outside; iifname "tap-2" meta mark set 0x5653 accept; }
}
"""
"""The hooks that the rules of former versions had, which those of today do not have."""


async def test_the_rules_of_a_former_version_are_taken_over_and_open_connections_live(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", service())
    internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    world.sh(*INSIDE, "nft", "-f", "-", stdin=FORMER)
    remembered = Path("/run/t1/rules-namespace.json")
    remembered.write_text('{"text": "of a former version", "listing": ""}')
    with guest.serving(22), internet.connect(str(PUBLIC), 22) as flow:
        assert flow.recv(100)
        pinging = guest.start("ping", "-c", "60", "-i", "0.02", "-q", world.CLIENT_ADDRESS)
        successor = DataPlane(installation="t1", identifier="0000a1", ranges=plane.ranges, run=Path("/run/t1"))
        await successor.start()
        desired = DataPlaneState({LinkKey("guest-2"): world.a_link(2)}, {"web": service()})
        assert await successor.synchronise(desired) == 0, "what stood in sets and maps stands there still"
        assert "60 packets transmitted, 60 received" in pinging.communicate(timeout=60)[0]
        flow.sendall(b"the flow goes on")
        assert flow.recv(100) == b"the flow goes on"
        assert internet.tcp(str(PUBLIC), 22) == world.CLIENT_ADDRESS
    hooked = re.findall(r"chain (\w+) \{\n\t\ttype", world.sh(*INSIDE, "nft", "list", "table", *MAP[:2]))
    assert sorted(hooked) == ["answers", "forward", "guard", "input", "translate_source", "translate_target"]


async def kill_dnsmasq(plane: DataPlane) -> int:
    """Kills the dnsmasq that serves and returns its PID.

    The one that is started ends itself when the one that serves in the background stands, so there may be none for a
    moment, and the one just seen may be gone already.
    """
    while True:
        for pid in await processes(plane):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return pid
        await asyncio.sleep(0.02)


async def test_dnsmasq_is_started_again_each_time_it_dies(plane: DataPlane) -> None:
    supervision = asyncio.ensure_future(plane.supervise())
    try:
        for _ in range(2):
            async with asyncio.timeout(30):
                killed = await kill_dnsmasq(plane)
                while await processes(plane) in ([], [killed]):
                    await asyncio.sleep(0.02)
    finally:
        supervision.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await supervision


async def test_dnsmasq_that_somebody_stops_is_started_again_and_told_of(
    plane: DataPlane, make_guest: world.MakeGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dnsmasq, "DOUBT_SECONDS", 1.0)
    guest = await make_guest(plane, 2, configured=False)
    repairs = plane.repairs()
    told = asyncio.ensure_future(anext(repairs))
    supervision = asyncio.ensure_future(plane.supervise())
    try:
        (first,) = await processes(plane)
        os.kill(first, signal.SIGSTOP)
        async with asyncio.timeout(60):
            assert await told == Repair("process dnsmasq", "namespace vs-t1")
            while await processes(plane) in ([], [first]):
                await asyncio.sleep(0.02)
        assert await asyncio.to_thread(guest.dhcp)
        # A brother of fault 43: tenants have it tell of much, into a file that lies in memory.
        log = Path("/run/t1/dnsmasq.log")
        world.sh("sh", "-c", f"head -c 5000000 /dev/zero >>{log}")
        async with asyncio.timeout(60):
            while log.stat().st_size > 1 << 20:
                await asyncio.sleep(0.02)
        assert log.with_name("dnsmasq.log.1").stat().st_size == 1 << 20
    finally:
        supervision.cancel()
        told.cancel()
        await asyncio.gather(supervision, told, return_exceptions=True)
        await repairs.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("policy", ["policy drop", "rule"])
async def test_a_foreign_firewall_that_drops_our_packets_is_named_and_its_remedy_works(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, policy: str
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", service())
    internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    assert await plane.blockers() == []
    chain = "type filter hook forward priority filter; policy drop;" if policy == "policy drop" else ""
    world.sh(
        "nft",
        "-f",
        "-",
        stdin=f"""
        table ip filter {{
          chain DOCKER-USER {{ }}
          chain FORWARD {{
            {chain or "type filter hook forward priority filter;"}
            jump DOCKER-USER
            iifname "docker0" accept
            ct state established,related accept
            {"" if chain else "reject"}
          }}
        }}
        """,
    )
    with guest.serving(22), internet.serving(80):
        with pytest.raises(OSError, match=r"."):
            guest.tcp(world.CLIENT_ADDRESS, 80, seconds=1)
        with pytest.raises(OSError, match=r"."):
            internet.tcp(str(PUBLIC), 22, seconds=1)
        (blocker,) = await plane.blockers()
        assert blocker.where == "ip filter FORWARD"
        before = world.sh("nft", "list", "table", "ip", "filter")
        await plane.synchronise(DataPlaneState({LinkKey("guest-2"): world.a_link(2)}, {"web": service()}))
        assert world.sh("nft", "list", "table", "ip", "filter") == before, "a foreign table was touched"
        world.sh("sh", "-c", blocker.remedy)
        assert await plane.blockers() == []
        assert guest.tcp(world.CLIENT_ADDRESS, 80)
        assert internet.tcp(str(PUBLIC), 22)


async def test_what_others_put_among_ours_is_named_with_its_remedy_and_left(plane: DataPlane) -> None:
    """Brothers of fault 31 that somebody may have meant."""
    await plane.synchronise(whole())
    for prefix, link in (((), VSH), (INSIDE, "tap-2")):
        world.sh(*prefix, "tc", "qdisc", "add", "dev", link, "ingress")
    world.sh(*INSIDE, "nft", "add table inet filter; add chain inet filter f { type filter hook forward priority 0; }")
    found = await plane.blockers()
    assert [blocker.where for blocker in found] == [
        f"tc ingress of {VSH}",
        "tc ingress of tap-2",
        "inet filter in namespace vs-t1",
    ]
    assert await plane.synchronise(whole()) == 0
    assert len(await plane.blockers()) == 3
    for blocker in found:
        world.sh("sh", "-c", blocker.remedy)
    assert await plane.blockers() == []


@pytest.mark.parametrize("setting", ["conf.all.rp_filter=1", "conf.all.rp_filter=2", "ip_forward=0"])
async def test_a_setting_of_the_whole_host_that_others_choose_does_no_harm(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, setting: str
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("web", service())
    internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    async with world.following(plane):
        world.sh("sysctl", "-qw", f"net.ipv4.{setting}")

        def is_reached() -> bool:
            return bool(guest.tcp(world.CLIENT_ADDRESS, 80, seconds=1) and internet.tcp(str(PUBLIC), 22, seconds=1))

        with internet.serving(80), guest.serving(22):
            await asyncio.to_thread(world.eventually, is_reached, what="both ways", seconds=10)


async def test_a_stop_leaves_nothing_and_puts_settings_back(internet: world.Node, make_guest: world.MakeGuest) -> None:
    world.sh("ip", "netns", "delete", "internet")
    world.eventually(lambda: world.UPLINK not in world.sh("ip", "link"), what="the end of the uplink")
    world.sh("umount", "/run/netns")
    Path("/run/netns").rmdir()
    before = world.snapshot()
    children = os.listdir("/proc")
    chosen = ranges.choose(await ranges.networks_in_use())
    plane = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"))
    await plane.start()
    await plane.synchronise(whole())
    pids = await processes(plane)
    assert set(map(str, pids)).isdisjoint(children)
    assert world.snapshot() != before
    Path("/run/t1/names/.uid.new").touch()  # as a node that is killed while it writes leaves it
    await plane.stop()
    after = world.snapshot()
    for what, was in before.items():
        assert after[what] == was, what
    assert await plane.inventory() == []
    for pid in pids:
        assert not Path(f"/proc/{pid}/exe").exists()
    await plane.stop()  # once more, with nothing there


async def test_a_pool_of_one_address_is_routed_as_a_whole_and_stays_so(internet: world.Node) -> None:
    """Its routes, one of them to nowhere, were taken for those of an address that is held: no node started with it."""
    one = ip_network("203.0.113.5/32")
    chosen = dataclasses.replace(ranges.choose(await ranges.networks_in_use()), public={"public": (one,)})
    plane = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"))
    try:
        await plane.start()
        await plane.synchronise(DataPlaneState(links={}, services={}))
        assert await plane.synchronise(DataPlaneState(links={}, services={})) == 0
        assert "203.0.113.5 via" in world.sh("ip", "route")
    finally:
        await plane.stop()


async def test_two_installations_leave_in_either_order_and_the_settings_stay_until_the_last(
    internet: world.Node,
) -> None:
    forwarding = Path(f"/proc/sys/net/ipv4/conf/{world.UPLINK}/forwarding")
    planes: list[DataPlane] = []
    for number in (1, 2):
        chosen = ranges.choose(await ranges.networks_in_use())
        planes.append(
            DataPlane(
                installation=f"t{number}", identifier=f"0000a{number}", ranges=chosen, run=Path(f"/run/t{number}")
            )
        )
        await planes[-1].start()
    try:
        assert forwarding.read_text() == "1\n"
        await planes[0].stop()
        assert forwarding.read_text() == "1\n"
        await planes[1].stop()
        assert forwarding.read_text() == "0\n"
    finally:
        for plane in planes:
            await plane.stop()


async def test_an_installation_starts_on_a_machine_without_any_other_network(machine: None) -> None:
    plane = DataPlane(installation="t1", identifier="0000a1", ranges=ranges.choose([]), run=Path("/run/t1"))
    await plane.start()
    assert await plane.synchronise(whole()) > 0
    assert await plane.synchronise(whole()) == 0
    await plane.stop()


async def test_the_mtu_of_a_smaller_uplink_is_that_of_guests(internet: world.Node, make_guest: world.MakeGuest) -> None:
    world.sh("ip", "link", "set", world.UPLINK, "mtu", "1400")
    chosen = ranges.choose(await ranges.networks_in_use())
    plane = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"))
    await plane.start()
    try:
        guest = await make_guest(plane, 2, configured=False)
        told = guest.dhcp()
        assert told is not None
        assert told["mtu"] == "1400"
        assert "mtu 1400" in world.sh(*INSIDE, "ip", "link", "show", "tap-2")
    finally:
        await plane.stop()


async def test_what_one_port_costs_does_not_grow_with_what_is_there(plane: DataPlane) -> None:
    costs: dict[int, float] = {}
    for present in (10, 10_000):
        ports = frozenset(
            PublishedPort(PUBLIC, 1 + number % 60_000, "TCP", ip_address("10.42.0.2"), 22) for number in range(present)
        )
        await plane.set_service("many", ServiceRules(ports, frozenset({PUBLIC})))
        times: list[float] = []
        other = ip_address("203.0.113.8")
        rules = ServiceRules(
            frozenset({PublishedPort(other, 22, "TCP", ip_address("10.42.0.3"), 22)}), frozenset({other})
        )
        for _ in range(15):
            # Our time and the kernel's for us; what else runs on this machine is not in it.
            started = time.process_time()
            await plane.set_service("one", rules)
            times.append(time.process_time() - started)
            await plane.remove_service("one")
        costs[present] = statistics.median(times)
    print(f"one port: {costs[10] * 1000:.1f} ms with 10 present, {costs[10_000] * 1000:.1f} ms with 10,000")
    assert costs[10_000] < 2 * costs[10]


async def test_no_program_is_started_but_dnsmasq_and_what_gives_a_lease_back(
    internet: world.Node, monkeypatch: pytest.MonkeyPatch, make_guest: world.MakeGuest
) -> None:
    started: set[str] = set()
    begin = subprocess.Popen.__init__

    def noted(self: subprocess.Popen[str], args: Any, *more: Any, **options: Any) -> None:
        started.add(str(args[0]))
        begin(self, args, *more, **options)

    chosen = ranges.choose(await ranges.networks_in_use())
    plane = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"))
    await plane.start()
    guest = await make_guest(plane, 2, configured=False)
    assert guest.dhcp() is not None
    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    await plane.start()
    await plane.synchronise(whole())
    await plane.set_service("web", service(80))
    await plane.remove_service("web")
    await plane.remove_link("guest-2")
    await plane.blockers()
    await plane.inventory()
    await plane.check_name()
    await plane.stop()
    await plane.start()
    await plane.stop()
    monkeypatch.undo()
    assert started == {"setpriv", "dhcp_release"}, "setpriv becomes dnsmasq"


@pytest.fixture
async def follower(plane: DataPlane) -> AsyncIterator[world.Follower]:
    async with world.following(plane) as follower:
        await asyncio.sleep(1)
        yield follower


def another_uplink(internet: world.Node, name: str, *, mtu: int = 1500) -> None:
    """Tie the machine to the internet by one more link, without a route."""
    internet.run("ip", "link", "add", "eth1", "mtu", str(mtu), "type", "veth", "peer", "name", name, "mtu", str(mtu))
    internet.run("ip", "link", "set", name, "netns", str(os.getpid()))
    internet.run("ip", "address", "add", "100.64.8.2/24", "dev", "eth1")
    internet.run("ip", "address", "add", "192.0.2.99/32", "dev", "lo")
    internet.run("ip", "link", "set", "eth1", "up")
    world.sh("ip", "address", "add", "100.64.8.1/24", "dev", name)
    world.sh("ip", "link", "set", name, "up")


def forwards(link: str) -> str:
    return Path(f"/proc/sys/net/ipv4/conf/{link}/forwarding").read_text().strip()


async def test_the_uplink_that_the_default_route_moves_to_forwards_within_a_second(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, follower: world.Follower
) -> None:
    """Fault 33: from the office's network to the one at home."""
    guest = await make_guest(plane, 2)
    another_uplink(internet, "wifi0")
    world.sh("ip", "route", "replace", "default", "via", "100.64.8.2")
    assert world.is_in_time(await follower.until_adjusted("by wifi0 now, before by wan0"))
    assert (forwards("wifi0"), forwards(world.UPLINK)) == ("1", "0")
    with internet.serving(80):
        assert await asyncio.to_thread(guest.tcp, "192.0.2.99", 80) == "100.64.8.1"
    assert follower.told == []


VPNS = {
    "halves": (
        ("route", "add", "0.0.0.0/1", "via", "100.64.8.2"),
        ("route", "add", "128.0.0.0/1", "via", "100.64.8.2"),
    ),
    "table of its own": (
        ("route", "add", "default", "via", "100.64.8.2", "table", "51820"),
        ("rule", "add", "not", "fwmark", "51820", "table", "51820"),
        ("rule", "add", "table", "main", "suppress_prefixlength", "0"),
    ),
}


@pytest.mark.parametrize("vpn", VPNS)
async def test_a_vpn_carries_what_guests_send_within_a_second_and_gives_back_what_it_took(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, follower: world.Follower, vpn: str
) -> None:
    """Fault 33: a VPN leaves the default route where it is, and routes past it."""
    guest = await make_guest(plane, 2)
    another_uplink(internet, "vpn0", mtu=1420)
    with internet.serving(80):
        assert await asyncio.to_thread(guest.tcp, "192.0.2.99", 80) == world.HOST_ADDRESS
        for command in VPNS[vpn]:
            world.sh("ip", *command)
        assert world.is_in_time(await follower.until_adjusted("by vpn0, wan0 now"))
        assert await asyncio.to_thread(guest.tcp, "192.0.2.99", 80) == "100.64.8.1"
        await follower.until_adjusted("is 1420 now, before 1500")
        assert "mtu 1420" in world.sh(*INSIDE, "ip", "link", "show", "tap-2")
        follower.adjusted.clear()
        for command in reversed(VPNS[vpn]):
            world.sh("ip", *["delete" if word == "add" else word for word in command])
        assert world.is_in_time(await follower.until_adjusted("by wan0 now"))
        assert (forwards("vpn0"), forwards(world.UPLINK)) == ("0", "1")
        assert await asyncio.to_thread(guest.tcp, "192.0.2.99", 80) == world.HOST_ADDRESS
    assert follower.told == []


async def test_a_guest_that_runs_gets_by_with_a_smaller_mtu_and_the_next_lease_tells_it(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, follower: world.Follower
) -> None:
    """Fault 33: what the guest was told stays 1500 until it asks again."""
    guest = await make_guest(plane, 2)

    def exchange(flow: socket.socket) -> bool:
        heard = b""
        for _ in range(20):
            flow.sendall(bytes(20_000))
            while len(heard) < 20_000:
                heard += flow.recv(65536)
            heard = heard[20_000:]
        return True

    with internet.serving(80), guest.connect(world.CLIENT_ADDRESS, 80) as flow:
        assert flow.recv(100)
        for mtu in (1400, 1300):
            world.sh("ip", "link", "set", world.UPLINK, "mtu", str(mtu))
            internet.run("ip", "link", "set", "eth0", "mtu", str(mtu))
            assert world.is_in_time(await follower.until_adjusted(f"is {mtu} now"))
            assert await asyncio.to_thread(exchange, flow), "a connection that was open"
            with guest.connect(world.CLIENT_ADDRESS, 80) as another:
                assert another.recv(100) and await asyncio.to_thread(exchange, another)
        for link in ("tap-2", "up0"):
            assert "mtu 1300" in world.sh(*INSIDE, "ip", "link", "show", link)
        told = await asyncio.to_thread(guest.dhcp)
        assert told is not None and told["mtu"] == "1300"
    assert follower.told == []
    assert await plane.synchronise(DataPlaneState({LinkKey("guest-2"): world.a_link(2)}, {})) == 0
