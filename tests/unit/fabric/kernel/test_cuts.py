"""Which flows end with what a delta takes away."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_network

import pytest

from virtualserver.fabric.desired.entries import decided_of
from virtualserver.fabric.desired.ledger import Delta, Entry, Ledger, Owner, difference
from virtualserver.fabric.kernel import cuts as ends
from virtualserver.fabric.kernel.conntrack import Flows

PORT = "203.0.113.7 . tcp . 22"
TCP = Flows(to=ip_address("203.0.113.7"), protocol="tcp", port=22)
UDP = Flows(to=ip_address("203.0.113.7"), protocol="udp", port=22)


def cuts(delta: Delta, wanted: dict[Entry, str] | None = None) -> list[Flows]:
    """Return what ends with a delta where these entries are asked for."""
    ledger = Ledger(decided_of)
    ledger.put(Owner("service", "somebody"), wanted or {})
    return ends.cuts(delta, ledger)


def test_flows_of_a_port_and_of_a_guest_that_go_away_are_cut() -> None:
    port = Entry("published", PORT)
    guest, moved = Entry("route", "10.42.0.2"), Entry("route", "10.42.0.9")
    delta = Delta(removed={port: "10.42.0.2 . 22", guest: "vst-1", moved: "a"}, added={moved: "b"})
    assert cuts(delta) == [TCP, Flows(by=ip_address("10.42.0.2")), Flows(answered_by=ip_address("10.42.0.2"))]
    assert cuts(Delta(removed={Entry("route", "203.0.113.7"): "local"}, added={})) == []


@pytest.mark.parametrize(
    ("before", "after", "tcp", "udp"),
    [
        pytest.param(("published", "2"), None, [TCP], [UDP], id="the port goes"),
        pytest.param(("withheld", "2"), None, [TCP], [UDP], id="the port goes while its guest is not ready"),
        pytest.param(("published", "2"), ("withheld", "2"), [], [], id="its guest is not ready any more"),
        pytest.param(("withheld", "2"), ("published", "2"), [], [], id="its guest is ready again"),
        pytest.param(("published", "2"), ("published", "3"), [], [UDP], id="another guest is ready"),
        pytest.param(("withheld", "2"), ("published", "3"), [], [UDP], id="another guest is ready, after a while"),
        pytest.param(None, ("published", "2"), [], [], id="the port comes"),
    ],
)
def test_fault_34_flows_are_cut_where_the_port_goes_and_live_on_where_its_guest_is_not_ready(
    before: tuple[str, str] | None, after: tuple[str, str] | None, tcp: list[Flows], udp: list[Flows]
) -> None:
    for key, cut in ((PORT, tcp), (PORT.replace("tcp", "udp"), udp)):

        def entries(state: tuple[str, str] | None, key: str = key) -> dict[Entry, str]:
            return {} if state is None else {Entry(state[0], key): f"10.42.0.{state[1]} . 22"}

        assert cuts(difference(entries(before), entries(after))) == cut


UDP_PORT = PORT.replace("tcp", "udp")


def alone(kind: str = "published") -> dict[Entry, str]:
    return {Entry(kind, UDP_PORT): "10.42.0.2 . 22"}


def spread(*targets: int) -> dict[Entry, str]:
    ends = ",".join(f"10.42.0.{target} . 22" for target in targets)
    return {Entry("spread", UDP_PORT): "goto spread_203.0.113.7_udp_22", Entry("ends", UDP_PORT): ends}


def kept(*targets: int) -> list[Flows]:
    return [dataclasses.replace(UDP, kept=tuple(ip_address(f"10.42.0.{target}") for target in targets))]


@pytest.mark.parametrize(
    ("before", "after", "cut"),
    [
        pytest.param(spread(2, 3), spread(2, 3, 4), [], id="one comes"),
        pytest.param(spread(2, 3, 4), spread(2, 3), kept(2, 3), id="one goes"),
        pytest.param(alone(), spread(2, 3), [], id="one becomes several"),
        pytest.param(alone("withheld"), spread(2, 3), [], id="one becomes several that are ready"),
        pytest.param(spread(2, 3), alone(), kept(2), id="several become one"),
        pytest.param(spread(2, 3), alone("withheld"), kept(2), id="none is ready"),
        pytest.param(spread(2, 3), spread(4, 5), kept(), id="all are others"),
        pytest.param(spread(2, 3), {}, kept(), id="the port goes"),
    ],
)
def test_a_udp_flow_lives_as_long_as_its_own_guest_is_one_of_several(
    before: dict[Entry, str], after: dict[Entry, str], cut: list[Flows]
) -> None:
    assert cuts(difference(before, after)) == cut


def test_fault_16_clients_that_may_not_call_several_any_more_are_cut_and_no_others() -> None:
    chain = "goto spread_203.0.113.7_udp_22"
    everybody, ends = {Entry("spread", UDP_PORT): chain}, {Entry("ends", UDP_PORT): "10.42.0.2 . 22,10.42.0.3 . 22"}
    some = {Entry("spread_to", UDP_PORT): f"10.0.0.0/8 : {chain}"}
    spared = [dataclasses.replace(UDP, spared=(ip_network("10.0.0.0/8"),))]
    assert cuts(difference(everybody | ends, some | ends)) == spared
    assert cuts(difference(some | ends, everybody | ends)) == []
    assert cuts(difference(spread(2, 3, 4), some | ends)) == [*spared, *kept(2, 3)]


TEN = "10.0.0.0/8 : 10.42.0.2 . 22"
TWO = "10.0.0.0/8 : 10.42.0.2 . 22,192.0.2.7 : 10.42.0.2 . 22"
ELSEWHERE = "10.0.0.0/8 : 10.42.0.3 . 22"


FLOATING = ip_address("203.0.113.9")
INBOUND = Flows(to=FLOATING)
MOVED = [INBOUND, Flows(answered_to=FLOATING)]


@pytest.mark.parametrize(
    ("before", "after", "cut"),
    [
        pytest.param(("floating", "10.42.0.2"), None, MOVED, id="nobody has it any more"),
        pytest.param(("floating", "10.42.0.2"), ("floating", "10.42.0.3"), MOVED, id="another guest has it"),
        pytest.param(("floating_to", "10.0.0.0/8 : 10.42.0.2"), ("floating", "10.42.0.3"), MOVED, id="and for more"),
        pytest.param(
            ("floating", "10.42.0.2"),
            ("floating_to", "10.0.0.0/8 : 10.42.0.2"),
            [dataclasses.replace(INBOUND, spared=(ip_network("10.0.0.0/8"),))],
            id="for some only",
        ),
        pytest.param(("floating_to", "10.0.0.0/8 : 10.42.0.2"), ("floating", "10.42.0.2"), [], id="for everybody"),
        pytest.param(None, ("floating", "10.42.0.2"), [], id="somebody has it"),
    ],
)
def test_a_floating_address_takes_no_flow_along(
    before: tuple[str, str] | None, after: tuple[str, str] | None, cut: list[Flows]
) -> None:
    def entries(state: tuple[str, str] | None) -> dict[Entry, str]:
        return {} if state is None else {Entry(state[0], str(FLOATING)): state[1]}

    assert cuts(difference(entries(before), entries(after))) == cut


@pytest.mark.parametrize("kind", ["published", "withheld", "published_to", "spread"])
def test_a_port_that_stays_published_is_left_alone_where_the_rest_of_its_address_moves(kind: str) -> None:
    """Connections to it never floated: another Service's guest answers them, or the same one for that Service."""
    wanted = {
        Entry(kind, f"{FLOATING} . tcp . 443"): TEN if kind == "published_to" else "10.42.0.2 . 443",
        Entry(kind, f"{FLOATING} . udp . 53"): TEN if kind == "published_to" else "10.42.0.7 . 53",
        Entry(kind, PORT): "10.42.0.2 . 22",
        Entry("decided", f"{FLOATING} . tcp . 443"): "",
        Entry("decided", f"{FLOATING} . udp . 53"): "",
        Entry("decided", PORT): "",
        Entry("route", str(FLOATING)): "local",
    }
    apart = (("tcp", 443), ("udp", 53))
    delta = Delta({Entry("floating", str(FLOATING)): "10.42.0.2"}, {Entry("floating", str(FLOATING)): "10.42.0.3"})
    assert cuts(delta, wanted) == [dataclasses.replace(INBOUND, apart_from=apart), MOVED[1]]


def test_a_port_that_is_published_when_the_rest_goes_keeps_none_that_floated() -> None:
    """The node was away meanwhile: who shared the address publishes a port of it now, and what floated is deleted."""
    port = Entry("published", f"{FLOATING} . tcp . 22")
    decided = Entry("decided", port.key)
    floats = {Entry("floating", str(FLOATING)): "10.42.0.2"}
    new = {port: "10.42.0.3 . 22"}
    assert cuts(Delta(floats, new), new) == MOVED
    assert cuts(Delta(floats, {**new, decided: ""}), {**new, decided: ""}) == [
        *MOVED,
        Flows(to=FLOATING, protocol="tcp", port=22),
    ]
    spared = dataclasses.replace(INBOUND, apart_from=(("tcp", 22),))
    assert cuts(Delta({**floats, decided: ""}, {}), new) == [spared, MOVED[1]], "it was published all the while"


def test_a_floating_addresss_port_that_is_published_from_now_on_keeps_no_flow_that_floated() -> None:
    port = {Entry("decided", PORT): ""}
    floats = {Entry("floating", PORT.partition(" . ")[0]): "10.42.0.2"}
    assert cuts(Delta({}, port)) == [TCP]
    assert cuts(Delta(floats, floats | port)) == [TCP]
    assert cuts(Delta({}, floats | port)) == [], "those of the published port are all there are"
    assert cuts(Delta(port, {})) == []


def test_another_source_address_cuts_nothing() -> None:
    source = Entry("floating_source", "10.42.0.2")
    assert cuts(Delta(removed={source: "203.0.113.9"}, added={source: "203.0.113.8"})) == []


@pytest.mark.parametrize("withheld", [False, True])
@pytest.mark.parametrize(
    ("before", "after", "spared"),
    [
        pytest.param(("published", "10.42.0.2 . 22"), ("published_to", TEN), ("10.0.0.0/8",), id="restricted"),
        pytest.param(("published_to", TWO), ("published_to", TEN), ("10.0.0.0/8",), id="fewer"),
        pytest.param(("published_to", TEN), ("published_to", TWO), ("10.0.0.0/8", "192.0.2.7/32"), id="more"),
        pytest.param(("published_to", TWO), ("published_to", ELSEWHERE), ("10.0.0.0/8",), id="fewer, elsewhere"),
        pytest.param(("published_to", TEN), ("published_to", ELSEWHERE), None, id="elsewhere"),
        pytest.param(("published_to", TWO), None, (), id="nobody"),
        pytest.param(("published_to", TEN), ("published", "10.42.0.2 . 22"), None, id="everybody"),
    ],
)
def test_fault_16_flows_of_clients_that_are_not_admitted_any_more_are_cut_and_no_others(
    before: tuple[str, str], after: tuple[str, str] | None, spared: tuple[str, ...] | None, withheld: bool
) -> None:
    flows = dataclasses.replace(TCP, spared=tuple(ip_network(one) for one in spared or ()))
    added: dict[Entry, str] = {}
    if after is not None:
        added = {Entry(after[0].replace("published", "withheld") if withheld else after[0], PORT): after[1]}
    assert cuts(Delta({Entry(before[0], PORT): before[1]}, added)) == ([] if spared is None else [flows])


RESTRICTED, ADMITTED = Entry("restricted", "203.0.113.9"), Entry("admitted", "203.0.113.9")


@pytest.mark.parametrize(
    ("removed", "added", "spared"),
    [
        ({}, {RESTRICTED: "", ADMITTED: "10.0.0.0/8,192.0.2.7"}, ("10.0.0.0/8", "192.0.2.7/32")),
        ({}, {RESTRICTED: ""}, ()),
        ({ADMITTED: "10.0.0.0/8"}, {ADMITTED: "192.0.2.7"}, ("192.0.2.7/32",)),
        ({ADMITTED: "10.0.0.0/8"}, {}, ()),
        ({RESTRICTED: "", ADMITTED: "10.0.0.0/8"}, {}, None),
        ({}, {ADMITTED: "10.0.0.0/8"}, None),
    ],
)
def test_flows_to_an_attached_address_are_cut_by_who_may_still_call_it(
    removed: dict[Entry, str], added: dict[Entry, str], spared: tuple[str, ...] | None
) -> None:
    flows = Flows(to=ip_address("203.0.113.9"), spared=tuple(ip_network(one) for one in spared or ()))
    assert cuts(Delta(removed, added), added) == ([] if spared is None else [flows])


def test_who_is_admitted_stays_so_where_somebody_took_the_restriction_away() -> None:
    """It is put back, and with it nothing of those who are admitted: they stand there still."""
    flows = Flows(to=ip_address("203.0.113.9"), spared=(ip_network("10.0.0.0/8"),))
    assert cuts(Delta({}, {RESTRICTED: ""}), {RESTRICTED: "", ADMITTED: "10.0.0.0/8"}) == [flows]


def test_a_guest_that_changes_its_group_keeps_no_flow_with_others() -> None:
    before, after = ({Entry("members", f"10.42.0.2 . 0x0000000{group}"): ""} for group in (1, 2))
    assert cuts(Delta(before, after)) == [Flows(to=ip_address("10.42.0.2"))]
    assert cuts(Delta(before, {})) == [], "the guest goes, and its flows with its route"
