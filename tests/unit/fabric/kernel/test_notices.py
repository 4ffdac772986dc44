"""What the kernel tells of unasked, and when that is a reason to look."""

from __future__ import annotations

import dataclasses
import struct
from ipaddress import ip_network

import pytest

from virtualserver.fabric.desired.ledger import Entry
from virtualserver.fabric.kernel.links import Bridging, Link
from virtualserver.fabric.kernel.notices import Changed, doubts_in_host, doubts_inside, told_of
from virtualserver.fabric.kernel.routes import KERNEL, LOCAL_TABLE, Route

QUIET = Changed({}, frozenset(), frozenset(), {}, rules=False, settings={})
WANTED = {
    Entry("tap", "vst-1"): "64001",
    Entry("tap-up", "vst-1"): "",
    Entry("route", "10.42.0.2"): "vst-1",
    Entry("bridge", "vpc1"): "",
    Entry("tap", "nic1"): "64001",
    Entry("port", "nic1"): "vpc1 9000 02:00:00:00:00:01",
}
PORT = Link(9, "nic1", "tun", True, 9000, "ee:ee:ee:ee:ee:ee", user=64001, master=10, is_locked=True)
BRIDGE = Link(10, "vpc1", "bridge", True, 9000, "ee:ee:ee:ee:ee:ee", bridging=Bridging())
TAP = Link(7, "vst-1", "tun", True, 1500, "ee:ee:ee:ee:ee:ee", user=64001)
DOWN = dataclasses.replace(TAP, is_up=False)
GUEST = Route(ip_network("10.42.0.2/32"), link=7)
GATEWAY = Route(ip_network("169.254.1.1/32"), kind="local", link=7, table=LOCAL_TABLE, protocol=KERNEL)
POOL = ip_network("203.0.113.0/24")
PAIR = Route(ip_network("198.19.0.0/30"), link=2, protocol=KERNEL)
US, OTHERS = 0xF6FEE67F, 815


def changed(**fields: object) -> Changed:
    return dataclasses.replace(QUIET, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "told",
    [
        changed(lost=True),
        changed(rules=True),
        changed(links={"vst-1": None}, gone=frozenset({7})),
        changed(links={"vst-1": DOWN}),
        changed(links={"vst-1": dataclasses.replace(TAP, mac="0a:00:00:00:00:01")}),
        changed(links={"vst-1": dataclasses.replace(TAP, mtu=1300)}),
        changed(routes={GATEWAY: False}),
        changed(links={"stray0": dataclasses.replace(TAP, name="stray0")}),
        changed(links={"up0": None}),
        changed(links={"up0": Link(2, "up0", "veth", False, 1500)}),
        changed(links={"up0": Link(2, "up0", "veth", True, 1500, is_free=False)}),
        changed(links={"vst-1": dataclasses.replace(TAP, is_free=False)}),
        changed(addresses=frozenset({7})),
        changed(neighbours=frozenset({7})),
        changed(routes={GUEST: False}),
        changed(routes={Route(ip_network("10.42.0.2/32"), link=2): True}),
        changed(routes={Route(POOL, kind="unreachable"): False}),
        changed(routes={PAIR: False}),
        changed(settings={7: {"rp_filter": 0}}),
        changed(settings={-1: {"forwarding": 0}}),
        changed(links={"nic1": dataclasses.replace(PORT, master=None, is_locked=False)}),
        changed(links={"nic1": dataclasses.replace(PORT, mtu=1500)}),
        changed(ports={9: False}),
        changed(at_ports={(9, "02:00:00:00:00:01"): False}),
        changed(at_ports={(9, "02:00:00:00:00:02"): True}),
        changed(links={"nic1": PORT}, at_ports={(9, "02:00:00:00:00:02"): True}),
        changed(links={"nic1": PORT}, at_ports={(9, "02:00:00:00:00:01"): False}),
        changed(links={"nic1": None}, gone=frozenset({9})),
        changed(links={"vpc1": dataclasses.replace(BRIDGE, is_up=False)}),
        changed(links={"vpc1": dataclasses.replace(BRIDGE, bridging=Bridging(snooping=1))}),
        changed(links={"vpc1": None}, gone=frozenset({10})),
        changed(links={"vpc2": dataclasses.replace(BRIDGE, name="vpc2")}),
        changed(links={"vpc1": BRIDGE}, settings={10: {"forwarding": 1}}),
    ],
)
def test_what_goes_away_or_differs_of_ours_is_a_reason_to_look(told: Changed) -> None:
    assert doubts_inside(told, WANTED, mtu=1500)


@pytest.mark.parametrize(
    "told",
    [
        QUIET,
        changed(links={"vst-1": TAP}, settings={7: {"rp_filter": 1, "proxy_arp": 1, "forwarding": 1}}),
        changed(links={"nic1": PORT, "vpc1": BRIDGE}, settings={10: {"proxy_arp": 0, "forwarding": 0}}),
        changed(links={"nic1": PORT}, ports={9: True}, at_ports={(9, "02:00:00:00:00:01"): True}),
        changed(links={"nic1": PORT, "vpc1": BRIDGE}, at_ports={(9, PORT.mac): False, (10, BRIDGE.mac): False}),
        changed(gone=frozenset({9}), ports={9: False}, at_ports={(9, "02:00:00:00:00:01"): False}),
        changed(routes={GATEWAY: True}),
        # A tap that we removed: its address goes with it.
        changed(links={"vst-2": None}, gone=frozenset({8}), addresses=frozenset({8}), settings={8: {"rp_filter": 0}}),
        changed(routes={dataclasses.replace(GATEWAY, link=8): False}, gone=frozenset({8})),
        changed(routes={Route(ip_network("10.42.0.3/32"), link=8): False}),
    ],
)
def test_what_we_do_ourselves_is_none(told: Changed) -> None:
    assert not doubts_inside(told, WANTED, mtu=1500)


def test_of_the_host_only_what_is_ours_its_uplinks_and_its_addresses_count() -> None:
    own = [POOL, ip_network("198.19.0.0/30")]
    for told in (
        changed(links={"vsh-1": None}),
        changed(routes={PAIR: False}),
        changed(routes={Route(ip_network("0.0.0.0/0"), link=3): True}),
        changed(routes={Route(ip_network("192.0.2.7/32"), kind="local", link=3, table=LOCAL_TABLE): True}),
        changed(settings={3: {"forwarding": 0}}),
        changed(lost=True),
        changed(rules=True),
        changed(routes={Route(ip_network("128.0.0.0/1"), link=3): True}),
        changed(links={"wan0": Link(3, "wan0", "", True, 1400)}),
        changed(links={"wan0": None}),
    ):
        assert doubts_in_host(told, "vsh-1", own, {"wan0": 1500})
    for told in (
        QUIET,
        changed(links={"docker0": None}),
        changed(links={"wan0": Link(3, "wan0", "", True, 1500)}),
        changed(routes={Route(ip_network("10.9.0.0/16"), link=3): True}),
    ):
        assert not doubts_in_host(told, "vsh-1", own, {"wan0": 1500})


def message(kind: int, port: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, port) + body


def test_what_this_process_asked_for_is_left_out_and_the_kernels_own_is_not() -> None:
    address = struct.pack("=BBBBI", 2, 32, 0, 0, 7)
    for port, indexes in ((US, set[int]()), (OTHERS, {7}), (0, {7})):
        assert told_of([message(21, port, address)], own={US}).addresses == indexes


def test_several_messages_of_one_datagram_are_read_and_settings_by_their_device() -> None:
    def setting(kind: int, value: int) -> bytes:
        return struct.pack("=HHi", 8, kind, value)

    notice = message(80, 0, b"\x02\0\0\0" + setting(1, 7) + setting(3, 0) + setting(5, 1))
    told = told_of([notice + message(33, OTHERS, bytes(12))], own={US})
    assert told.settings == {7: {"rp_filter": 0, "proxy_arp": 1}}
    assert told.rules


def test_only_neighbours_that_somebody_has_fixed_count() -> None:
    def neighbour(family: int, state: int) -> bytes:
        return message(28, OTHERS, struct.pack("=B3xiHBB", family, 7, state, 0, 1))

    assert told_of([neighbour(2, 0x02), neighbour(10, 0x80)], own={US}).neighbours == set()
    assert told_of([neighbour(2, 0x80)], own={US}).neighbours == {7}


def attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + bytes(-len(content) % 4)


def test_of_a_bridges_port_it_is_told_whether_it_is_locked_and_which_hardware_addresses_are_there() -> None:
    def port(locked: int, learning: int) -> bytes:
        about = attribute(8, bytes([learning])) + attribute(39, bytes([locked]))
        return message(16, 0, struct.pack("=BxHiII", 7, 1, 9, 0, 0) + attribute(12 | 0x8000, about))

    def fdb(kind: int, state: int) -> bytes:
        body = struct.pack("=B3xiHBB", 7, 9, state, 0, 0)
        return message(kind, 0, body + attribute(2, bytes([2, 0, 0, 0, 0, 1])) + attribute(9, struct.pack("=i", 10)))

    assert told_of([port(1, 0)], own={US}).ports == {9: True}
    assert told_of([port(1, 0), port(1, 1)], own={US}).ports == {9: False}
    assert told_of([port(0, 0)], own={US}).ports == {9: False}
    for notices, is_told in (
        ([fdb(28, 0x40)], True),
        ([fdb(28, 0x80)], False),  # of the bridge's own card
        ([fdb(28, 0x02)], False),  # learnt
        ([fdb(28, 0x40), fdb(29, 0x40)], False),
    ):
        assert told_of(notices, own={US}).at_ports == {(9, "02:00:00:00:00:01"): is_told}
