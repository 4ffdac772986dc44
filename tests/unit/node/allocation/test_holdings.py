"""Who is said to have which address of a pool."""

from __future__ import annotations

import dataclasses
import ipaddress

from virtualserver.fabric.desired.state import Ranges
from virtualserver.node.allocation.allocations import Allocation, Claimant
from virtualserver.node.allocation.holdings import Holding, PoolHoldings, uses

net = ipaddress.ip_network
RANGES = Ranges(
    public={"public": (net("203.0.113.0/29"),), "public-ord1": (net("203.0.113.16/30"),)},
    private={"private": (net("198.18.0.0/29"),)},
    guest=(net("10.42.0.0/29"),),
    service=(net("10.96.0.0/16"),),
    link=(net("198.19.0.0/30"),),
    former={"public": (net("192.0.2.0/29"),)},
)
WEB = Claimant("shop", "Service web")


def an_address(value: str, claimant: Claimant = WEB) -> Allocation:
    return Allocation(f"owner of {value}", "load-balancer/public/4", "address", value, claimant)


def of(*recorded: Allocation, ranges: Ranges = RANGES, host: str = "") -> dict[str, PoolHoldings]:
    address = ipaddress.ip_address(host) if host else None
    return {use.name: use for use in uses(ranges, recorded, host=address)}


def test_each_pool_has_its_size_and_what_is_held_of_it() -> None:
    found = of(an_address("203.0.113.2"), an_address("203.0.113.1"), an_address("198.18.0.3"))
    assert [(name, use.size, use.used, use.free) for name, use in found.items()] == [
        ("private", 6, 1, 5),
        ("public", 6, 2, 4),
        ("public-ord1", 2, 0, 2),
    ]
    assert [one.address for one in found["public"].holdings] == ["203.0.113.1", "203.0.113.2"]


def test_a_holder_is_named_by_kind_namespace_and_name() -> None:
    found = of(an_address("203.0.113.1", Claimant("shop", "VirtualServer own")))
    assert found["public"].holdings == (Holding("203.0.113.1", "", "shop", "VirtualServer", "own"),)


def test_a_sharing_key_may_have_spaces() -> None:
    (holding,) = of(an_address("203.0.113.1", Claimant("shop", "sharing-key a b")))["public"].holdings
    assert (holding.kind, holding.name) == ("sharing-key", "a b")


def test_an_address_of_a_former_network_is_held_and_takes_no_room() -> None:
    use = of(an_address("192.0.2.1"))["public"]
    assert (use.used, use.free, [one.address for one in use.holdings]) == (0, 6, ["192.0.2.1"])


def test_what_a_guest_has_for_itself_is_of_no_pool() -> None:
    attached = Allocation("vm", "attached/4", "attached", "203.0.113.1", Claimant("shop", "VirtualServer own"))
    own = Allocation("vm", "guest/4", "address", "10.42.0.2", Claimant("shop", "VirtualServer own"))
    assert not any(use.holdings for use in of(attached, own).values())


def test_of_the_machines_own_address_each_port_is_held() -> None:
    ranges = dataclasses.replace(RANGES, public={"public": ()}, host=("public",), former={})
    ports = [Allocation("web", f"load-balancer/public/TCP/{port}", "port", f"TCP/{port}", WEB) for port in (443, 80)]
    use = of(*ports, ranges=ranges, host="192.0.2.9")["public"]
    assert (use.is_host, use.address, use.size, use.used) == (True, "192.0.2.9", 0, 0)
    assert [(one.address, one.port) for one in use.holdings] == [("192.0.2.9", "TCP/80"), ("192.0.2.9", "TCP/443")]
    assert of(*ports, ranges=ranges)["public"].holdings[0].address == "", "the machine has no way to the outside now"
    assert of(*ports, ranges=ranges, host="192.0.2.9")["private"].address == ""
