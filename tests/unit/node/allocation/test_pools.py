"""Pools give each of their addresses, and no other."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from virtualserver.fabric.desired.state import Network, Ranges
from virtualserver.node.allocation.pools import Pool, pool_of, pools_of

net = ipaddress.ip_network
SMALL = st.integers(26, 32).map(lambda length: net(f"203.0.113.0/{length}"))


def a_pool(*networks: str) -> Pool:
    return Pool("public", tuple(net(text) for text in networks))


def test_a_networks_own_and_its_broadcast_address_are_never_given() -> None:
    pool = a_pool("203.0.113.0/29")
    assert [str(address) for address in pool.addresses(4)] == [f"203.0.113.{n}" for n in range(1, 7)]
    assert not pool.has(ipaddress.ip_address("203.0.113.0"))
    assert not pool.has(ipaddress.ip_address("203.0.113.7"))
    assert pool.size(4) == 6


def test_single_addresses_and_pairs_are_given_whole() -> None:
    assert a_pool("203.0.113.4/32").size(4) == 1
    assert a_pool("203.0.113.4/31").size(4) == 2


def test_networks_are_used_up_in_order() -> None:
    pool = a_pool("203.0.113.4/32", "198.18.0.0/30")
    assert str(pool.first_free(4, {"203.0.113.4"})) == "198.18.0.1"


def test_an_exhausted_pool_gives_nothing() -> None:
    assert a_pool("203.0.113.4/32").first_free(4, {"203.0.113.4"}) is None


def test_families_are_told_apart() -> None:
    pool = a_pool("2001:db8::/64", "203.0.113.0/29")
    assert pool.families == (4, 6)
    assert str(pool.first_free(6, set())) == "2001:db8::1"


def test_pools_are_found_by_name_and_by_address() -> None:
    public, private = net("203.0.113.0/24"), net("198.18.0.0/24")
    nowhere: tuple[Network, ...] = ()
    ranges = Ranges(
        {"public": (public,), "public-ord1": nowhere},
        {"private": (private,)},
        nowhere,
        nowhere,
        (net("198.19.0.0/30"),),
    )
    pools = pools_of(ranges)
    assert list(pools) == ["public", "public-ord1", "private"]
    found = pool_of(ipaddress.ip_address("198.18.0.9"), pools.values())
    assert found
    assert found.name == "private"
    assert pool_of(ipaddress.ip_address("192.0.2.1"), pools.values()) is None


@given(networks=st.lists(SMALL, min_size=1, max_size=1))
def test_what_is_given_until_exhaustion_is_the_pools_size_without_repeats(networks: list[Network]) -> None:
    pool = Pool("p", tuple(networks))
    used: set[str] = set()
    while (address := pool.first_free(4, used)) is not None:
        assert pool.has(address)
        assert str(address) not in used
        used.add(str(address))
    assert len(used) == pool.size(4) == pool.used(used)
