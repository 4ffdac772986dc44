"""Which of the kernel's routes are entries, and which flows a delta cuts."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from virtualserver.fabric.desired.ledger import Delta, Entry
from virtualserver.fabric.kernel.conntrack import Flows
from virtualserver.fabric.kernel.devices import cuts, route_entries
from virtualserver.fabric.kernel.rtnetlink import KERNEL, LOCAL_TABLE, Link, Route

LINKS = {1: Link(1, "lo", "", True, 65536), 7: Link(7, "vst-1", "tun", True, 1500, user=64001)}
GUEST = ip_network("10.42.0.2/32")


def test_a_static_route_to_one_address_is_an_entry_and_others_are_not() -> None:
    routes = [
        Route(GUEST, link=7),
        Route(ip_network("203.0.113.7/32"), kind="local", link=1, table=LOCAL_TABLE),
        Route(ip_network("169.254.1.1/32"), kind="local", link=7, table=LOCAL_TABLE, protocol=KERNEL),
        Route(ip_network("203.0.113.0/24"), kind="unreachable"),
        Route(ip_network("0.0.0.0/0"), link=2),
    ]
    assert dict(route_entries(routes, LINKS)) == {
        Entry("route", "10.42.0.2"): "vst-1",
        Entry("route", "203.0.113.7"): "local",
    }


def test_flows_of_a_port_that_goes_away_or_elsewhere_are_cut_and_those_of_a_guest_that_goes_away() -> None:
    port = Entry("published", "203.0.113.7 . tcp . 22")
    guest, moved = Entry("route", "10.42.0.2"), Entry("route", "10.42.0.9")
    delta = Delta(
        removed={port: "10.42.0.2 . 22", guest: "vst-1", moved: "a"}, added={port: "10.42.0.3 . 22", moved: "b"}
    )
    assert cuts(delta) == [
        Flows(to=ip_address("203.0.113.7"), protocol="tcp", port=22),
        Flows(by=ip_address("10.42.0.2")),
        Flows(answered_by=ip_address("10.42.0.2")),
    ]
    assert cuts(Delta(removed={Entry("route", "203.0.113.7"): "local"}, added={})) == []
