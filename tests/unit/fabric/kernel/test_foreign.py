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
