"""Which networks are chosen, and that what is recorded comes back."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from virtualserver.installation.ranges import RangesExhaustedError, change, choose, decode, encode

if TYPE_CHECKING:
    from virtualserver.fabric.desired.state import Network, Ranges


def network(address: int, length: int) -> Network:
    return ip_network((address, length), strict=False)


NETWORKS = st.builds(network, st.integers(0, 2**32 - 1), st.integers(12, 32))


def every(ranges: Ranges) -> list[Network]:
    pools = [network for pools in (ranges.public, ranges.private) for pool in pools.values() for network in pool]
    return [*pools, *ranges.guest, *ranges.service, *ranges.link]


def test_the_first_installation_gets_the_documented_networks() -> None:
    ranges = choose([ip_network("192.0.2.0/24"), ip_network("fd00::/64")])
    assert ranges.public == {"public": (ip_network("203.0.113.0/24"),)}
    assert ranges.private == {"private": (ip_network("198.18.0.0/24"),)}
    assert ranges.guest == (ip_network("10.42.0.0/16"),)
    assert ranges.service == (ip_network("10.96.0.0/16"),)
    assert ranges.link == (IPv4Network("198.19.0.0/30"),)
    assert not ranges.routed


@given(st.lists(NETWORKS, max_size=8))
def test_what_is_chosen_overlaps_nothing_that_is_taken_nor_itself(taken: list[Network]) -> None:
    try:
        chosen = every(choose(taken))
    except RangesExhaustedError:
        assume(False)
        return
    for number, one in enumerate(chosen):
        for other in [*taken, *chosen[number + 1 :]]:
            assert not one.overlaps(other)  # type: ignore[arg-type]


def test_many_installations_share_nothing() -> None:
    taken: list[Network] = []
    for _ in range(20):
        ranges = choose(taken)
        assert not any(one.overlaps(other) for one in every(ranges) for other in taken)  # type: ignore[arg-type]
        taken += every(ranges)


def test_named_pools_win_and_are_routed_by_the_network_beyond() -> None:
    public, private = ip_network("192.0.2.0/26"), ip_network("10.42.0.0/20")
    ranges = choose([ip_network("192.0.2.0/24")], public=(public,), private=(private,))
    assert (ranges.public, ranges.private) == ({"public": (public,)}, {"private": (private,)})
    assert ranges.routed == (public, private)
    assert not ranges.guest[0].overlaps(private)  # type: ignore[arg-type]


def test_naming_one_pool_says_nothing_about_the_other() -> None:
    public = ip_network("192.0.2.0/26")
    assert choose([], public=(public,)).routed == (public,)


def test_a_record_of_an_earlier_version_means_what_it_meant() -> None:
    recorded = encode(choose([]))
    assert decode(replace(recorded, link="198.19.0.0/30")) == decode(recorded)
    assert decode(replace(recorded, routed=False)).routed == ()
    assert set(decode(replace(recorded, routed=True)).routed) == {
        ip_network("203.0.113.0/24"),
        ip_network("198.18.0.0/24"),
    }


@pytest.mark.parametrize("route", ["0.0.0.0/0", "0.0.0.0/1"])
def test_a_way_to_everywhere_is_no_network_in_use(route: str) -> None:
    assert choose([ip_network(route)]) == choose([])


def test_a_private_block_that_is_routed_whole_is_avoided() -> None:
    assert choose([ip_network("10.0.0.0/8")]).guest == (ip_network("172.16.0.0/16"),)


def test_the_last_candidate_taken_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(RangesExhaustedError, match="--private-pool"):
        choose([ip_network("198.18.0.0/15")])


@given(st.lists(NETWORKS, max_size=3), st.booleans())
def test_what_is_recorded_comes_back(taken: list[Network], named: bool) -> None:
    ranges = choose(taken, public=(ip_network("192.0.2.0/24"),) if named else ())
    assert decode(encode(ranges)) == ranges


def test_other_pools_keep_networks_of_which_addresses_are_held_and_no_others() -> None:
    first = choose([])
    named = ip_network("192.0.2.0/24")
    held = [ip_address("203.0.113.7")]
    one = change(first, public=(named,), held=held, uplink="eth1")
    assert one.public == {"public": (named,)} and one.former == {"public": (ip_network("203.0.113.0/24"),)}
    assert one.answered() == [named], "nobody on the link would send to a test network"
    assert set(one.pools()) >= {named, ip_network("203.0.113.0/24")}
    assert decode(encode(one)) == one
    back = change(one, public=(ip_network("203.0.113.0/24"),), held=held)
    assert back.former == {} and back.uplink == "eth1"
    assert change(one, held=[]).former == {}
    host = change(one, is_public_host=True, uplink="", held=[ip_address("192.0.2.9")])
    assert (host.public, host.host, host.uplink) == ({"public": ()}, ("public",), "")
    assert host.former == {"public": (named,)}
    assert change(host, public=(named,)).host == ()
    assert change(host).host == ("public",), "who names nothing changes nothing"
