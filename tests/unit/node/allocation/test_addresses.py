"""Which Service gets which address, what is shared, and when something is freed."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from virtualserver.fabric.desired.state import Ranges
from virtualserver.node.allocation.addresses import RESERVED_SECONDS, Addresses
from virtualserver.node.allocation.allocations import Allocations
from virtualserver.node.services import balancing
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from virtualserver.fabric.desired.state import Address

net = ipaddress.ip_network
RANGES = Ranges(
    public={"public": (net("203.0.113.0/29"),), "public-ord1": (net("203.0.113.16/30"),)},
    private={"private": (net("198.18.0.0/29"),)},
    guest=(net("10.42.0.0/29"),),
    service=(net("10.96.0.0/16"),),
    link=(ipaddress.IPv4Network("198.19.0.0/30"),),
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class World:
    """Services as the API has them, and the addresses that they were granted."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.allocations = Allocations(path)
        self.addresses = Addresses(self.allocations, RANGES, users=range(100, 103), clock=self.clock)
        self.services: list[dict[str, Any]] = []

    def add(self, name: str, **fields: Any) -> dict[str, Any]:
        made = a_service(name, age=len(self.services), **fields)
        self.services.append(made)
        return made

    def ask(self, service: dict[str, Any]) -> tuple[Address, ...] | Wait:
        group = [one for one in self.services if balancing.group_of(one) == balancing.group_of(service)]
        wish = balancing.wish_of(service, group)
        return wish if isinstance(wish, Wait) else self.addresses.balancer(wish)

    def grant(self, service: dict[str, Any]) -> str:
        """Return the addresses, or the reason why there are none."""
        granted = self.ask(service)
        return granted.reason if isinstance(granted, Wait) else ",".join(map(str, granted))

    def sweep(self, *alive: str, in_use: set[str] | None = None, attaching: set[str] | None = None) -> list[str]:
        known = {one["metadata"]["uid"] for one in self.services} | set(alive)
        wishes = balancing.wishes_of(self.services)
        freed = self.addresses.sweep(alive=known, wishes=wishes, attaching=attaching or set(), in_use=in_use or set())
        return [one.value for one in freed]


def a_service(
    name: str,
    *,
    age: int = 0,
    key: str | None = None,
    pool: str | None = None,
    pins: str | None = None,
    ports: tuple[int, ...] = (80,),
    protocol: str = "TCP",
    namespace: str = "default",
    **spec: Any,
) -> dict[str, Any]:
    annotations = {
        "metallb.io/allow-shared-ip": key,
        "metallb.io/address-pool": pool,
        "metallb.io/loadBalancerIPs": pins,
    }
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "creationTimestamp": f"2026-01-01T00:00:{age:02}Z",
            "annotations": {field: value for field, value in annotations.items() if value},
        },
        "spec": {
            "type": "LoadBalancer",
            "ports": [{"port": port, "protocol": protocol} for port in ports],
            "ipFamilies": ["IPv4"],
            **spec,
        },
    }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "claims")
    yield world
    world.allocations.close()


def test_without_an_annotation_the_public_pool_is_meant(world: World) -> None:
    assert world.grant(world.add("a")) == "203.0.113.1"


def test_pools_are_chosen_by_the_new_annotation_and_by_the_old(world: World) -> None:
    assert world.grant(world.add("a", pool="private")) == "198.18.0.1"
    old = world.add("b")
    old["metadata"]["annotations"]["metallb.universe.tf/address-pool"] = "public-ord1"
    assert world.grant(old) == "203.0.113.17"


def test_an_unknown_pool_is_named_with_those_that_there_are(world: World) -> None:
    fault = world.ask(world.add("a", pool="public-mars"))
    assert isinstance(fault, Wait)
    assert fault.reason == "PoolUnknown"
    assert "public-mars" in fault.message
    assert "public-ord1" in fault.message


def test_an_address_stays_when_it_is_asked_for_again_and_after_a_restart(world: World, tmp_path: Path) -> None:
    service = world.add("a")
    world.add("b")
    first = world.grant(service)
    assert world.grant(service) == first
    world.allocations.close()
    again = World(tmp_path / "claims")
    again.services = world.services
    assert again.grant(again.services[1]) == "203.0.113.2"
    assert again.grant(service) == first
    again.allocations.close()


def test_an_exhausted_pool_says_so_and_gives_again_what_is_freed(world: World) -> None:
    services = [world.add(f"s{number}", pool="public-ord1") for number in range(3)]
    assert [world.grant(service) for service in services] == ["203.0.113.17", "203.0.113.18", "PoolExhausted"]
    fault = world.ask(services[2])
    assert isinstance(fault, Wait)
    assert "2 of 2 are in use" in fault.message
    world.services.remove(services[0])
    assert world.sweep() == ["203.0.113.17"]
    assert world.grant(services[2]) == "203.0.113.17"


def test_services_of_one_key_share_an_address_while_their_ports_differ(world: World) -> None:
    tcp = world.add("tcp", key="U", ports=(22, 53))
    udp = world.add("udp", key="U", ports=(53,), protocol="UDP")
    assert world.grant(tcp) == world.grant(udp)


def test_services_of_one_key_with_a_port_in_common_have_two_addresses(world: World) -> None:
    first, second = world.add("a", key="U"), world.add("b", key="U")
    assert world.grant(first) != world.grant(second)


def test_a_key_counts_in_its_namespace_only(world: World) -> None:
    ours = world.add("a", key="default")
    theirs = world.add("b", key="default", namespace="evil", ports=(81,))
    assert world.grant(ours) != world.grant(theirs)


def test_a_pinned_address_is_granted_from_any_pool_that_has_it(world: World) -> None:
    assert world.grant(world.add("a", pins="198.18.0.3")) == "198.18.0.3"
    assert world.grant(world.add("b", loadBalancerIP="203.0.113.5")) == "203.0.113.5"


def test_a_pinned_address_outside_the_named_pool_is_refused(world: World) -> None:
    assert world.grant(world.add("a", pins="198.18.0.3", pool="public")) == "AddressNotInPool"
    assert world.grant(world.add("b", pins="203.0.113.0")) == "AddressNotInPool"


def test_a_pinned_address_of_another_is_refused(world: World) -> None:
    world.grant(world.add("a"))
    assert world.grant(world.add("b", pins="203.0.113.1")) == "AddressInUse"


def test_a_pin_to_the_address_of_the_own_group_is_granted_unless_ports_clash(world: World) -> None:
    assert world.grant(world.add("tcp", key="U")) == "203.0.113.1"
    assert world.grant(world.add("udp", key="U", pins="203.0.113.1", protocol="UDP")) == "203.0.113.1"
    assert world.grant(world.add("other", key="U", pins="203.0.113.1")) == "AddressInUse"


@pytest.mark.parametrize("pins", ["nonsense", "203.0.113.1.9"])
def test_a_pin_that_is_no_address_is_named(world: World, pins: str) -> None:
    assert world.grant(world.add("a", pins=pins)) == "AddressInvalid"


def test_an_address_moves_from_one_service_of_a_server_to_the_other(world: World) -> None:
    tcp = world.add("tcp", key="server")
    address = world.grant(tcp)
    world.services.remove(tcp)
    assert world.sweep("server") == []
    assert world.addresses.has_reserved
    other = world.add("other")
    assert world.grant(other) != address, "it waits for its server, not for the next one"
    udp = world.add("udp", key="server", protocol="UDP")
    assert world.grant(udp) == address


def test_an_address_that_no_service_takes_up_is_freed_after_a_while(world: World) -> None:
    tcp = world.add("tcp", key="server")
    address = world.grant(tcp)
    world.services.remove(tcp)
    assert world.sweep("server") == []
    world.clock.now += RESERVED_SECONDS + 1
    assert world.sweep("server") == [address]


def test_a_deleted_servers_address_is_freed_at_once(world: World) -> None:
    tcp = world.add("tcp", key="server")
    address = world.grant(tcp)
    world.services.remove(tcp)
    assert world.sweep() == [address]


def test_a_change_of_pool_gives_a_new_address_and_frees_the_old_one(world: World) -> None:
    service = world.add("a", key="server")
    assert world.grant(service) == "203.0.113.1"
    service["metadata"]["annotations"]["metallb.io/address-pool"] = "private"
    assert world.grant(service) == "198.18.0.1"
    assert world.sweep("server") == ["203.0.113.1"]


def test_what_a_link_still_uses_is_kept_whoever_owned_it(world: World) -> None:
    service = world.add("a")
    address = world.grant(service)
    world.services.remove(service)
    assert world.sweep(in_use={address}) == []
    assert world.sweep() == [address]


def test_guests_keep_their_address_tap_and_user_and_never_share_one(world: World) -> None:
    first = world.addresses.guest("a"), world.addresses.tap("a"), world.addresses.user("a")
    second = world.addresses.guest("b"), world.addresses.tap("b"), world.addresses.user("b")
    assert all(one != other for one, other in zip(first, second, strict=True))
    assert (world.addresses.guest("a"), world.addresses.tap("a"), world.addresses.user("a")) == first
    assert world.sweep("b")
    assert world.addresses.guest("b") == second[0]


def test_a_mac_of_another_server_is_refused_with_the_field(world: World) -> None:
    assert world.addresses.mac("a", "02:00:00:00:00:01") == "02:00:00:00:00:01"
    fault = world.addresses.mac("b", "02:00:00:00:00:01")
    assert isinstance(fault, Wait)
    assert "spec.network.macAddress" in fault.message


def test_users_run_out_with_a_reason(world: World) -> None:
    for owner in "abc":
        assert isinstance(world.addresses.user(owner), int)
    assert isinstance(world.addresses.user("d"), Wait)


SERVICES = st.fixed_dictionaries(
    {
        "key": st.sampled_from([None, "k1", "k2"]),
        "pool": st.sampled_from([None, "public-ord1", "private"]),
        "ports": st.sampled_from([(22,), (80,), (22, 80)]),
        "protocol": st.sampled_from(["TCP", "UDP"]),
        "namespace": st.sampled_from(["x", "y"]),
    }
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(wishes=st.lists(SERVICES, max_size=10), removed=st.sets(st.integers(0, 9)))
def test_an_address_is_only_ever_shared_within_a_namespace_and_key_and_never_a_port_of_it(
    tmp_path_factory: pytest.TempPathFactory, wishes: list[dict[str, Any]], removed: set[int]
) -> None:
    world = World(tmp_path_factory.mktemp("claims") / "claims")
    for number, wish in enumerate(wishes):
        world.grant(world.add(f"s{number}", **wish))
    world.services = [one for number, one in enumerate(world.services) if number not in removed]
    world.sweep()
    taken: dict[tuple[str, str, int], str] = {}
    groups: dict[str, str] = {}
    for service in world.services:
        address = world.grant(service)
        if not address[0].isdigit():
            continue
        assert groups.setdefault(address, balancing.group_of(service)) == balancing.group_of(service)
        for port in service["spec"]["ports"]:
            name = taken.setdefault((address, port["protocol"], port["port"]), service["metadata"]["name"])
            assert name == service["metadata"]["name"]
    world.allocations.close()


def test_an_address_is_attached_to_one_owner_until_that_gives_it_up(world: World) -> None:
    """Fault 2."""
    address = net("203.0.113.0/29")[1]
    assert world.addresses.attach("one", [address]) is None
    refused = world.addresses.attach("two", [address])
    assert refused is not None
    assert refused.reason == "AddressInUse"
    assert "another machine" in refused.message
    assert world.sweep("one", "two", attaching={"one"}) == [], "its machine is about to start"
    assert world.sweep("one", "two", attaching=set(), in_use={str(address)}) == [], "it runs"
    assert world.addresses.attached("one") == (address,)
    assert world.sweep("one", "two") == [str(address)]
    assert world.addresses.attach("two", [address]) is None


def test_what_an_owner_was_given_stays_while_its_machine_has_any_of_it(world: World) -> None:
    """Fault 3: nothing of a machine that runs is free, whatever became of its owner and its link."""
    (guest,) = (world.addresses.guest("gone"),)
    user, tap = world.addresses.user("gone"), world.addresses.tap("gone")
    assert not isinstance(guest, Wait)
    assert world.sweep(in_use={tap}) == []
    assert world.addresses.guest("other") != guest
    assert world.addresses.owner_of_tap(tap) == "gone"
    assert world.addresses.recorded_guest("gone") == guest
    assert set(world.sweep("other")) == {str(guest[0]), str(user), tap}
    assert world.addresses.owner_of_tap(tap) is None
