"""Which routes lead into a network."""

from __future__ import annotations

from ipaddress import ip_network

from virtualserver.fabric.kernel.foreign import routes_into
from virtualserver.fabric.kernel.routes import LOCAL_TABLE, Route

POOL = ip_network("203.0.113.0/24")
WHOLE, PART = Route(POOL, link=2), Route(ip_network("203.0.113.128/25"), link=2)
OTHERS = [Route(ip_network("0.0.0.0/0"), link=2), Route(ip_network("203.0.0.0/16"), link=2), Route(ip_network("::/0"))]
LOCAL = Route(POOL, kind="local", table=LOCAL_TABLE)


def test_a_route_to_the_network_or_to_a_part_of_it_leads_into_it() -> None:
    assert list(routes_into(POOL, [*OTHERS, WHOLE, PART, LOCAL], exactly=False)) == [WHOLE, PART, LOCAL]


def test_exactly_means_the_whole_network_in_the_main_table() -> None:
    assert list(routes_into(POOL, [*OTHERS, WHOLE, PART, LOCAL], exactly=True)) == [WHOLE]


def test_the_broadcast_address_of_a_lan_whose_end_is_the_pool_is_nobody_elses_route() -> None:
    last = Route(ip_network("203.0.113.255/32"), kind="broadcast", link=2, table=LOCAL_TABLE)
    assert not list(routes_into(POOL, [last], exactly=False))
