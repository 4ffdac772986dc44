"""Which of the kernel's routes are entries."""

from __future__ import annotations

from ipaddress import ip_network

from virtualserver.fabric.desired.ledger import Entry
from virtualserver.fabric.kernel.devices import route_entries
from virtualserver.fabric.kernel.links import Link
from virtualserver.fabric.kernel.routes import KERNEL, LOCAL_TABLE, Route

LINKS = {1: Link(1, "lo", "", True, 65536), 7: Link(7, "vst-1", "tun", True, 1500, user=64001)}
GUEST = ip_network("10.42.0.2/32")


def test_a_static_route_to_one_address_is_an_entry_and_others_are_not() -> None:
    routes = [
        Route(GUEST, link=7),
        Route(ip_network("203.0.113.7/32"), kind="local", link=1, table=LOCAL_TABLE),
        Route(ip_network("169.254.1.1/32"), kind="local", link=7, table=LOCAL_TABLE, protocol=KERNEL),
        Route(ip_network("203.0.113.0/24"), kind="unreachable"),
        Route(ip_network("198.51.100.5/32"), kind="unreachable"),
        Route(ip_network("0.0.0.0/0"), link=2),
        Route(ip_network("203.0.113.8/32"), kind="local", link=1, table=LOCAL_TABLE),
        Route(ip_network("203.0.113.8/32"), link=7),
    ]
    assert dict(route_entries(routes, LINKS)) == {
        Entry("route", "10.42.0.2"): "vst-1",
        Entry("route", "203.0.113.8"): "local vst-1",
        Entry("route", "203.0.113.7"): "local",
    }
