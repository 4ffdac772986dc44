"""Pools give each of their addresses, and no other."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtualserver.fabric.desired.state import Network, Ranges
from virtualserver.node.allocation.allocations import Claimant, Release
from virtualserver.node.allocation.pools import COOL_DOWN_SECONDS, History, Pool, pool_of, pools_of

net = ipaddress.ip_network
OURS, SIBLING, THEIRS = Claimant("a", "Service web"), Claimant("a", "Service db"), Claimant("b", "Service web")
NOW = 10_000.0
NEVER = History({}, OURS, NOW)
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
    assert str(pool.choose(4, {"203.0.113.4"}, NEVER)) == "198.18.0.1"


def test_an_exhausted_pool_gives_nothing() -> None:
    assert a_pool("203.0.113.4/32").choose(4, {"203.0.113.4"}, NEVER) is None


def history(**given_back: tuple[Claimant, float]) -> History:
    """Return who gave back the addresses 203.0.113.N, named ``_N``, so many seconds ago."""
    releases = {f"203.0.113.{name[1:]}": Release(NOW - age, claimant) for name, (claimant, age) in given_back.items()}
    return History(releases, OURS, NOW)


@pytest.mark.parametrize(
    ("given_back", "chosen"),
    [
        pytest.param({"_2": (OURS, 1), "_1": (THEIRS, 9_000)}, "2", id="the former one of the same name, at once"),
        pytest.param({"_1": (OURS, 9), "_2": (OURS, 5)}, "2", id="the latest of several former ones"),
        pytest.param({"_1": (THEIRS, 9_000)}, "2", id="one that nobody ever had before one that was free for long"),
        pytest.param({"_1": (THEIRS, 400), "_2": (THEIRS, 500)}, "2", id="the one that was free for longest"),
        pytest.param({"_1": (SIBLING, 1), "_2": (THEIRS, 301)}, "2", id="one that has cooled down before one's own"),
        pytest.param({"_1": (THEIRS, 299), "_2": (SIBLING, 1)}, "2", id="of the namespace's own before another's"),
        pytest.param({"_1": (THEIRS, 1), "_2": (THEIRS, 2)}, "2", id="else the pause holds nobody up"),
    ],
)
def test_the_address_is_chosen_that_disturbs_nobody(given_back: dict[str, tuple[Claimant, float]], chosen: str) -> None:
    assert str(a_pool("203.0.113.0/30").choose(4, set(), history(**given_back))) == f"203.0.113.{chosen}"


def test_what_is_in_use_is_never_chosen_whoever_gave_it_back() -> None:
    pool = a_pool("203.0.113.0/30")
    assert str(pool.choose(4, {"203.0.113.2"}, history(_2=(OURS, 1)))) == "203.0.113.1"
    assert pool.choose(4, {"203.0.113.1", "203.0.113.2"}, history(_2=(OURS, 1))) is None
    assert str(pool.choose(4, set(), history(_9=(OURS, 1)))) == "203.0.113.1", "of another pool"


def test_an_address_is_cooling_for_five_minutes_and_never_because_the_clock_was_put_back() -> None:
    assert COOL_DOWN_SECONDS == 300
    assert [history(_1=(THEIRS, age)).is_cooling("203.0.113.1") for age in (0, 299, 300, -5)] == [
        True,
        True,
        False,
        False,
    ]
    pool = a_pool("203.0.113.0/30")
    assert pool.is_calm(4, {"203.0.113.2"}, history(_1=(THEIRS, 400)))
    assert not pool.is_calm(4, {"203.0.113.2"}, history(_1=(THEIRS, 200)))


def test_families_are_told_apart() -> None:
    pool = a_pool("2001:db8::/64", "203.0.113.0/29")
    assert pool.families == (4, 6)
    assert str(pool.choose(6, set(), NEVER)) == "2001:db8::1"


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
    while (address := pool.choose(4, used, NEVER)) is not None:
        assert pool.has(address)
        assert str(address) not in used
        used.add(str(address))
    assert len(used) == pool.size(4) == pool.used(used)
