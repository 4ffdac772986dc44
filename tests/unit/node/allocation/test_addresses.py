"""Which Service gets which address, what is shared, and when something is freed."""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from virtualserver.fabric.desired.state import Ranges
from virtualserver.node.allocation.addresses import COOLING, Addresses
from virtualserver.node.allocation.allocations import Allocations, Claimant
from virtualserver.node.allocation.host_pool import HostPool
from virtualserver.node.allocation.nics import Nics
from virtualserver.node.allocation.pools import COOL_DOWN_SECONDS
from virtualserver.node.allocation.uplink import UplinkPools
from virtualserver.node.allocation.vacancies import FRESH_SECONDS, Vacancies
from virtualserver.node.services import balancing
from virtualserver.node.waits import Wait
from virtualserver.plan.sites.quotas import AddressQuota

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Machine:
    """A machine whose own address is a pool."""

    def __init__(self) -> None:
        self.address: Address | None = ipaddress.ip_address("192.0.2.9")
        self.listening = {("TCP", 22): "process sshd (7) of this machine"}

    def occupant(self, protocol: str, port: int) -> str:
        return self.listening.get((protocol, port), "")


class World:
    """Services as the API has them, and the addresses that they were granted."""

    def __init__(self, path: Path, clock: Clock | None = None, ranges: Ranges = RANGES) -> None:
        self.clock = clock or Clock()
        self.allocations = Allocations(path, clock=self.clock)
        self.quotas: dict[str, int] = {}
        self.addresses = Addresses(self.allocations, ranges, clock=self.clock)
        self.nics = Nics(self.allocations, range(100, 103))
        self.services: list[dict[str, Any]] = []
        self.machine = Machine()

    def add(self, name: str, **fields: Any) -> dict[str, Any]:
        made = a_service(name, age=len(self.services), **fields)
        self.services.append(made)
        return made

    def ask(self, service: dict[str, Any], *, opened: frozenset[str] | None = None) -> tuple[Address, ...] | Wait:
        group = [one for one in self.services if balancing.group_of(one) == balancing.group_of(service)]
        quota = AddressQuota(self.quotas.get(service["metadata"]["namespace"]))
        wish = balancing.wish_of(service, balancing.SharingGroup(group), quota=quota, opened=opened)
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
    """metallb/metallb#1586: the one that waited went on waiting."""
    services = [world.add(f"s{number}", pool="public-ord1") for number in range(3)]
    assert [world.grant(service) for service in services] == ["203.0.113.17", "203.0.113.18", "PoolExhausted"]
    fault = world.ask(services[2])
    assert isinstance(fault, Wait)
    assert "2 of 2 are in use" in fault.message
    world.services.remove(services[0])
    assert world.sweep() == ["203.0.113.17"]
    assert world.grant(services[2]) == "203.0.113.17", "the pool is empty otherwise: nobody is held up"


def test_services_of_one_key_share_an_address_while_their_ports_differ(world: World) -> None:
    """metallb/metallb#788: TCP and UDP of one name server, of which one stayed pending."""
    tcp = world.add("tcp", key="U", ports=(22, 53))
    udp = world.add("udp", key="U", ports=(53,), protocol="UDP")
    assert world.grant(tcp) == world.grant(udp)


def test_a_traffic_policy_keeps_nobody_from_sharing(world: World) -> None:
    """metallb/metallb#2553: with ``Local``, no address was there for them, in a pool with free ones."""
    tcp = world.add("tcp", key="global", ports=(53,), externalTrafficPolicy="Local")
    udp = world.add("udp", key="global", ports=(53,), protocol="UDP", externalTrafficPolicy="Local")
    assert world.grant(tcp) == world.grant(udp) == "203.0.113.1"


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


def test_an_address_that_a_manifest_names_is_of_a_pool_that_is_open_to_its_namespace(world: World) -> None:
    """What is in use elsewhere, what is free and what is in no pool at all are told in the same words."""
    world.grant(world.add("theirs", namespace="other", pins="198.18.0.3", pool="private"))
    opened = frozenset({"public"})
    told: set[str] = set()
    for name, address in (("a", "198.18.0.3"), ("b", "198.18.0.4"), ("c", "192.0.2.1")):
        wait = world.ask(world.add(name, pins=address), opened=opened)
        assert isinstance(wait, Wait) and wait.reason == "AddressNotInPool"
        told.add(wait.message.replace(address, "ADDRESS"))
    (words,) = told
    assert "public 203.0.113.0/29" in words and "198.18" not in words
    none = world.ask(world.add("d", pins="203.0.113.2"), opened=frozenset())
    assert isinstance(none, Wait) and "an administrator opens one" in none.message
    held = world.add("e", pins="203.0.113.3")
    assert world.ask(held, opened=opened) == world.ask(held, opened=frozenset()), "what is held stays"


def test_a_pinned_address_of_another_is_refused(world: World) -> None:
    world.grant(world.add("a"))
    assert world.grant(world.add("b", pins="203.0.113.1")) == "AddressInUse"


def test_a_pin_to_the_address_of_the_own_group_is_granted_unless_ports_clash(world: World) -> None:
    assert world.grant(world.add("tcp", key="U")) == "203.0.113.1"
    assert world.grant(world.add("udp", key="U", pins="203.0.113.1", protocol="UDP")) == "203.0.113.1"
    assert world.grant(world.add("other", key="U", pins="203.0.113.1")) == "AddressInUse"


def test_a_pinned_address_is_given_back_by_the_group_and_goes_to_who_cannot_share_any_more(world: World) -> None:
    older = world.add("older")
    pinned = world.add("pinned", key="U", pins="203.0.113.2")
    assert world.grant(pinned) == "203.0.113.2"
    older["metadata"]["annotations"]["metallb.io/allow-shared-ip"] = "U"
    assert world.grant(pinned) == "AddressInUse", "it has a port in common with an older one"
    assert world.grant(older) == "203.0.113.1"
    assert world.sweep() == ["203.0.113.2"]
    assert world.grant(pinned) == "203.0.113.2"


@pytest.mark.parametrize("pins", ["nonsense", "203.0.113.1.9"])
def test_a_pin_that_is_no_address_is_named(world: World, pins: str) -> None:
    assert world.grant(world.add("a", pins=pins)) == "AddressInvalid"


def test_an_address_moves_from_one_service_of_a_server_to_the_other(world: World) -> None:
    tcp = world.add("tcp", key="server")
    address = world.grant(tcp)
    world.services.remove(tcp)
    assert world.sweep("server") == [address], "a sharing key keeps no address that nobody uses"
    assert world.grant(world.add("other")) != address, "it waits for its server, not for the next one"
    assert world.grant(world.add("udp", key="server", protocol="UDP")) == address


def test_fault_5_rotated_sharing_keys_hold_one_address(world: World) -> None:
    service = world.add("a")
    for number in range(4):
        service["metadata"]["annotations"]["metallb.io/allow-shared-ip"] = f"key-{number}"
        world.grant(service)
        world.sweep("server", "a", "uid-default-a")
    assert world.allocations.values("address") == {world.grant(service)}


def test_fault_5_a_pin_that_changes_from_one_to_the_next_collects_nothing(world: World) -> None:
    service = world.add("a", key="k")
    for number in range(1, 6):
        service["metadata"]["annotations"]["metallb.io/loadBalancerIPs"] = f"203.0.113.{number}"
        assert world.grant(service) == f"203.0.113.{number}"
        world.sweep()
    assert world.allocations.values("address") == {"203.0.113.5"}


def test_fault_5_services_that_no_longer_stand_in_each_others_way_hold_one_address(world: World) -> None:
    older, younger = world.add("a", key="U"), world.add("b", key="U")
    assert world.grant(older) != world.grant(younger)
    world.services.remove(older)
    held = world.grant(younger)
    world.sweep()
    assert world.allocations.values("address") == {held}


@pytest.mark.parametrize(
    ("pins", "families"), [("203.0.113.1,203.0.113.2", ["IPv4"]), ("203.0.113.1,2001:db8::1", ["IPv4"])]
)
def test_fault_5_a_list_of_pins_is_refused_where_a_service_would_have_two_of_a_family(
    world: World, pins: str, families: list[str]
) -> None:
    fault = world.ask(world.add("a", pins=pins, ipFamilies=families))
    assert isinstance(fault, Wait)
    assert fault.reason == "AddressInvalid"
    assert "metadata.annotations[metallb.io/loadBalancerIPs]" in fault.message
    assert world.allocations.values("address") == set()


def test_fault_5_a_namespace_has_so_many_addresses_of_a_pool_as_its_quota_says(world: World) -> None:
    world.quotas["default"] = 2
    first, second, third = (world.add(name) for name in "abc")
    assert [world.grant(one) for one in (first, second, third)] == [
        "203.0.113.1",
        "203.0.113.2",
        "AddressQuotaExceeded",
    ]
    fault = world.ask(third)
    assert isinstance(fault, Wait)
    assert fault.message.startswith("2 of 2 of pool public")
    assert world.grant(world.add("pinned", pins="203.0.113.6")) == "AddressQuotaExceeded"
    assert world.grant(world.add("d", pool="private")) == "198.18.0.1", "counted for each pool"
    assert world.grant(world.add("e", namespace="other")) == "203.0.113.3", "counted for each namespace"
    world.services.remove(first)
    world.sweep()
    assert world.grant(third) == "203.0.113.4", "one that nobody had goes first"


def test_what_is_held_is_never_taken_away_by_a_smaller_quota(world: World, tmp_path: Path) -> None:
    services = [world.add(name) for name in "ab"]
    held = [world.grant(one) for one in services]
    world.quotas["default"] = 0
    assert [world.grant(one) for one in services] == held
    assert world.sweep() == []
    world.allocations.close()
    again = World(tmp_path / "claims")
    again.services, again.quotas = services, world.quotas
    assert [again.grant(one) for one in services] == held
    assert again.grant(again.add("c")) == "AddressQuotaExceeded"
    again.allocations.close()


def test_services_that_share_an_address_count_once(world: World) -> None:
    world.quotas["default"] = 1
    tcp, udp = world.add("tcp", key="U"), world.add("udp", key="U", protocol="UDP")
    assert world.grant(tcp) == world.grant(udp) == "203.0.113.1"


def test_a_pin_of_both_families_takes_both_or_none_of_a_quota(tmp_path: Path) -> None:
    """Each address was counted as if the other were not asked for: a quota was passed by one."""
    both = dataclasses.replace(RANGES, public={"public": (net("203.0.113.0/29"), net("2001:db8::/120"))})
    world = World(tmp_path / "claims", ranges=both)
    world.quotas["default"] = 1
    service = world.add("a", pins="203.0.113.1,2001:db8::1", ipFamilies=["IPv4", "IPv6"])
    denied = world.ask(service)
    assert isinstance(denied, Wait) and denied.reason == "AddressQuotaExceeded"
    assert denied.message.startswith("0 of 1 of pool public, and 2 more are asked for: namespace default")
    assert world.grant(world.add("b")) == "203.0.113.1", "nothing of it was taken"
    world.services.pop()
    world.sweep()
    world.quotas["default"] = 2
    assert world.grant(service) == "203.0.113.1,2001:db8::1"
    world.quotas["default"] = 0
    assert world.grant(service) == "203.0.113.1,2001:db8::1", "what is held is never taken away"
    world.allocations.close()


def test_fault_6_whose_an_address_is_stays_in_its_namespace(world: World) -> None:
    world.grant(world.add("secret-name", namespace="theirs"))
    fault = world.ask(world.add("a", pins="203.0.113.1"))
    assert isinstance(fault, Wait)
    assert fault.reason == "AddressInUse"
    assert "in use by a Service of another namespace" in fault.message
    assert "theirs" not in fault.message
    assert "secret-name" not in fault.message
    sibling = world.ask(world.add("b", pins="203.0.113.1", namespace="theirs"))
    assert isinstance(sibling, Wait)
    assert "in use by Service theirs/secret-name" in sibling.message


def test_fault_4_an_address_is_kept_while_a_finalizer_keeps_its_service(world: World, tmp_path: Path) -> None:
    service = world.add("a")
    address = world.grant(service)
    service["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    assert world.sweep() == []
    world.allocations.close()
    again = World(tmp_path / "claims")
    again.services = [service]
    assert again.grant(again.add("b", namespace="other")) != address
    assert again.grant(service) == address
    again.allocations.close()


@pytest.mark.parametrize(
    "change",
    [{"type": "ClusterIP"}, {"loadBalancerClass": "example.com/other"}, {"loadBalancerIP": "nonsense"}],
    ids=lambda change: next(iter(change)),
)
def test_fault_4_an_address_whose_rules_stand_is_kept_whatever_became_of_its_service(
    world: World, change: dict[str, str]
) -> None:
    service = world.add("a")
    address = world.grant(service)
    service["spec"].update(change)
    world.services = [one for one in world.services if balancing.wants_address(one)]
    assert world.sweep(in_use={address}) == []
    assert world.grant(world.add("b", namespace="other", pins=address)) == "AddressInUse"
    assert world.sweep() == [address]


def test_fault_4_an_address_that_is_of_no_pool_any_more_is_kept_until_its_rules_are_gone(
    world: World, tmp_path: Path
) -> None:
    service = world.add("a")
    address, guests = world.grant(service), world.addresses.guest("uid")
    assert isinstance(guests, tuple)
    world.allocations.close()
    public, guest = (net("192.0.2.0/29"), RANGES.public["public"][0]), (net("10.43.0.0/29"),)
    moved = dataclasses.replace(RANGES, public={"public": public[:1], "other": public[1:]}, guest=guest)
    again = World(tmp_path / "claims", ranges=moved)
    again.services = [service]
    assert again.grant(service) == "192.0.2.1"
    assert again.addresses.guest("uid") == (ipaddress.ip_address("10.43.0.1"),)
    assert again.grant(again.add("thief", pool="other", pins=address, namespace="other")) == "AddressInUse"
    stands = {address, str(guests[0])}
    assert again.sweep("uid", in_use=stands) == []
    assert set(again.sweep("uid")) == stands
    again.allocations.close()


def test_fault_4_a_pin_that_no_pool_of_the_service_has_keeps_nothing(world: World) -> None:
    service = world.add("a", pins="203.0.113.2")
    assert world.grant(service) == "203.0.113.2"
    service["metadata"]["annotations"]["metallb.io/address-pool"] = "private"
    assert world.grant(service) == "AddressNotInPool"
    assert world.sweep() == ["203.0.113.2"]


def test_a_former_address_comes_back_to_a_service_of_the_same_name_also_after_a_restart(
    world: World, tmp_path: Path
) -> None:
    world.grant(world.add("first"))
    service = world.add("web")
    address = world.grant(service)
    world.services.remove(service)
    world.sweep()
    world.allocations.close()
    again = World(tmp_path / "claims", world.clock)
    assert again.grant(again.add("web", namespace="other")) != address
    assert again.grant(again.add("web")) == address
    again.allocations.close()


def test_a_former_address_comes_back_to_a_server_of_the_same_name_whichever_service_asks_first(world: World) -> None:
    def add(name: str, uid: str, protocol: str) -> dict[str, Any]:
        service = world.add(name, key=uid, protocol=protocol)
        reference = {"kind": "VirtualServer", "name": "web", "uid": uid, "controller": True}
        service["metadata"]["ownerReferences"] = [reference]
        return service

    address = world.grant(add("web-tcp", "uid-1", "TCP"))
    world.services.clear()
    world.sweep()
    assert world.grant(add("web-udp", "uid-2", "UDP")) == address


def test_an_address_goes_to_nobody_else_for_five_minutes_where_the_pool_has_another(world: World) -> None:
    (service,) = [world.add("a")]
    address = world.grant(service)
    world.services.remove(service)
    world.sweep()
    others = [world.grant(world.add(f"o{number}", namespace="other")) for number in range(6)]
    assert address not in others[:5]
    assert others[5] == address, "the last one: nobody is held up"


def test_a_pin_waits_until_an_address_has_cooled_down_unless_its_own_namespace_gave_it_back(world: World) -> None:
    service = world.add("a")
    address = world.grant(service)
    world.services.remove(service)
    world.sweep()
    thief = world.add("thief", namespace="other", pins=address)
    world.clock.now += 1
    fault = world.ask(thief)
    assert isinstance(fault, Wait)
    assert fault.reason == COOLING
    assert fault.retry_seconds == COOL_DOWN_SECONDS - 1
    world.clock.now += fault.retry_seconds
    assert world.grant(thief) == address
    world.services.remove(thief)
    world.sweep()
    assert world.grant(world.add("again", namespace="other", pins=address)) == address, "the same tenant, at once"


def test_a_pin_does_not_wait_where_all_that_is_free_is_cooling_down(world: World) -> None:
    services = [world.add(f"s{number}") for number in range(6)]
    for service in services:
        world.grant(service)
    world.services = services[1:]
    (address,) = world.sweep()
    assert world.grant(world.add("b", namespace="other", pins=address)) == address


def test_attack_300_services_made_and_deleted_in_a_loop_wear_out_no_pause_but_their_own(world: World) -> None:
    victim = world.add("victim", namespace="theirs")
    address = world.grant(victim)
    world.services.remove(victim)
    world.sweep()
    got: set[str] = set()
    for number in range(300):
        service = world.add(f"s{number}")
        got.add(world.grant(service))
        world.services.remove(service)
        world.sweep()
        world.clock.now += 0.5
    assert address not in got
    assert len(got) == 5
    assert world.grant(world.add("victim", namespace="theirs")) == address


def test_attack_annotations_as_long_as_they_may_be_are_neither_read_on_nor_quoted_nor_recorded(world: World) -> None:
    long = world.add("a", pins=",".join(f"203.{n >> 8}.{n & 255}.9" for n in range(20_000)))
    nonsense = world.add("b", pins="x" * 250_000)
    unknown = world.add("c", pool="p" * 250_000)
    for service in (long, nonsense, unknown):
        fault = world.ask(service)
        assert isinstance(fault, Wait)
        assert len(fault.message) < 400
    assert world.grant(world.add("d", key="k" * 250_000)) == "203.0.113.1"
    assert all(len(one.owner) < 100 and len(str(one.claimant)) < 100 for one in world.allocations.all())
    assert world.grant(world.add("e", key="k" * 249_999, ports=(81,))) == "203.0.113.2", "another key"


def test_attack_thousands_of_services_of_one_key_cost_a_look_at_each(world: World) -> None:
    services = [a_service(f"s{number:04}", key="k", ports=(number + 1,)) for number in range(4_000)]
    began = time.process_time()
    wishes = balancing.wishes_of(services)
    assert time.process_time() - began < 5, "seconds of this process; 16 million comparisons take a minute"
    assert len(wishes) == 4_000
    assert not any(wish.clash for wish in wishes)


def test_attack_a_sharing_key_that_spells_another_namespaces_owner_shares_nothing(world: World) -> None:
    theirs = world.add("a", key="U", namespace="theirs")
    address = world.grant(theirs)
    for key in ("theirs/U", "U", "../theirs/U", theirs["metadata"]["uid"]):
        assert world.grant(world.add(f"b{len(world.services)}", key=key, ports=(81,))) != address
    assert world.grant(world.add("c", key="U", pins=address, ports=(82,))) == "AddressInUse"


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
    first = world.addresses.guest("a"), world.nics.tap("a"), world.nics.user("a")
    second = world.addresses.guest("b"), world.nics.tap("b"), world.nics.user("b")
    assert all(one != other for one, other in zip(first, second, strict=True))
    assert (world.addresses.guest("a"), world.nics.tap("a"), world.nics.user("a")) == first
    assert world.sweep("b")
    assert world.addresses.guest("b") == second[0]


def test_a_guests_former_address_comes_back_to_a_server_of_the_same_name_and_to_no_other(world: World) -> None:
    web, other = Claimant("shop", "VirtualMachine web"), Claimant("shop", "VirtualMachine other")
    address = world.addresses.guest("uid-1", web)
    world.sweep()
    assert world.addresses.guest("uid-2", other) != address
    assert world.addresses.guest("uid-3", web) == address


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
    user, tap = world.nics.user("gone"), world.nics.tap("gone")
    assert not isinstance(guest, Wait)
    assert world.sweep(in_use={tap}) == []
    assert world.addresses.guest("other") != guest
    assert world.nics.owner_of_tap(tap) == "gone"
    assert world.addresses.recorded_guest("gone") == guest
    assert set(world.sweep("other")) == {str(guest[0]), str(user), tap}
    assert world.nics.owner_of_tap(tap) is None


ON_HOST = dataclasses.replace(RANGES, public={"public": ()}, host=("public",))
SELECTOR = {"selector": {"app": "web"}}


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[World]:
    """A world whose public pool is the machine's own address."""
    world = World(tmp_path / "claims", ranges=ON_HOST)
    host = HostPool(world.allocations, world.machine, ON_HOST.host)
    world.addresses = Addresses(world.allocations, ON_HOST, host=host)
    yield world
    world.allocations.close()


def test_every_service_has_the_machines_address_and_each_port_has_one_owner(hosted: World) -> None:
    web, dns = hosted.add("web", ports=(80, 443), **SELECTOR), hosted.add("dns", protocol="UDP", **SELECTOR)
    other = hosted.add("other", namespace="team", ports=(443, 8443), **SELECTOR)
    assert hosted.grant(web) == hosted.grant(dns) == "192.0.2.9"
    denied = hosted.ask(other)
    assert isinstance(denied, Wait) and denied.reason == "PortInUse"
    assert denied.message == (
        "TCP port 443 of this machine's own address is in use by a Service of another namespace: choose another port"
    )
    assert {one.value for one in hosted.allocations.all()} == {"TCP/80", "TCP/443", "UDP/80"}, "nothing by halves"
    hosted.services.remove(web)
    assert hosted.sweep(in_use={"TCP/443"}) == ["TCP/80"], "its rules are there"
    assert hosted.sweep() == ["TCP/443"]
    assert hosted.grant(other) == "192.0.2.9"


def test_a_port_that_a_process_of_the_machine_has_is_refused_and_one_that_came_later_takes_none(
    hosted: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ssh, web = hosted.add("ssh", ports=(22,), **SELECTOR), hosted.add("web", **SELECTOR)
    denied = hosted.ask(ssh)
    assert isinstance(denied, Wait) and denied.message == (
        "TCP port 22 of this machine's own address is in use by a program of this machine: choose another port"
    )
    assert hosted.ask(ssh) == denied
    assert caplog.text.count("TCP port 22 of this machine's own address is in use by process sshd (7)") == 1
    assert hosted.grant(web) == "192.0.2.9"
    hosted.machine.listening = {("TCP", 80): "process late (8) of this machine"}
    assert hosted.grant(ssh) == hosted.grant(web) == "192.0.2.9"


def test_what_leads_to_nobody_cannot_have_the_machines_address(hosted: World) -> None:
    denied = hosted.ask(hosted.add("attach", ports=(1,)))
    assert isinstance(denied, Wait) and denied.reason == "HostAddress"
    assert "neither attached nor floating" in denied.message
    assert hosted.grant(hosted.add("private", pool="private")) == "198.18.0.1"
    assert hosted.grant(hosted.add("pinned", pins="192.0.2.9", **SELECTOR)) == "AddressNotInPool"


def test_a_service_follows_the_machines_address_and_waits_where_it_has_none(hosted: World) -> None:
    web = hosted.add("web", **SELECTOR)
    for address in ("192.0.2.9", "192.0.2.77"):
        hosted.machine.address = ipaddress.ip_address(address)
        assert hosted.grant(web) == address
    hosted.machine.address = None
    assert hosted.grant(web) == "HostAddress"


def test_a_port_that_a_service_gives_up_is_free_and_the_others_stay(hosted: World) -> None:
    web = hosted.add("web", ports=(80, 443), **SELECTOR)
    hosted.grant(web)
    web["spec"]["ports"] = [{"port": 443}]
    assert hosted.grant(web) == "192.0.2.9"
    assert hosted.sweep() == ["TCP/80"]


def test_a_namespace_that_may_have_no_public_address_publishes_on_none(hosted: World) -> None:
    hosted.quotas["default"] = 0
    assert hosted.grant(hosted.add("web", **SELECTOR)) == "AddressQuotaExceeded"


def test_a_quota_takes_no_port_of_the_machine_that_is_held(hosted: World) -> None:
    web = hosted.add("web", **SELECTOR)
    hosted.grant(web)
    hosted.quotas["default"] = 0
    assert hosted.grant(web) == "192.0.2.9", "what is held is never taken away"
    web["spec"]["ports"] = [{"port": 80}, {"port": 443}]
    assert hosted.grant(web) == "AddressQuotaExceeded"


def test_attack_one_namespace_with_a_quota_has_not_all_ports_of_the_machine(hosted: World) -> None:
    """A quota counted addresses only, and all have the same one: a few Services could have its 65,535 ports."""
    hosted.quotas["default"] = 2
    several = hosted.add("several", ports=tuple(range(1000, 1100)), **SELECTOR)
    more = hosted.add("more", ports=tuple(range(2000, 2029)), **SELECTOR)
    assert hosted.grant(several) == "192.0.2.9"
    denied = hosted.ask(more)
    assert isinstance(denied, Wait) and denied.reason == "AddressQuotaExceeded"
    assert denied.message.startswith("100 of 128 ports of pool public, and 29 more are asked for")
    more["spec"]["ports"].pop()
    assert hosted.grant(more) == hosted.grant(several) == "192.0.2.9"
    assert hosted.grant(hosted.add("other", namespace="other", **SELECTOR)) == "192.0.2.9"


OTHERS = dataclasses.replace(
    RANGES, public={"public": (net("192.0.2.0/29"),)}, former={"public": (net("203.0.113.0/29"),)}
)


@pytest.mark.parametrize("after", [OTHERS, dataclasses.replace(OTHERS, public={"public": ()}, host=("public",))])
def test_what_is_held_of_a_former_network_stays_until_it_is_given_up(tmp_path: Path, after: Ranges) -> None:
    before = World(tmp_path / "claims")
    web, pinned = before.add("web", key="k", **SELECTOR), before.add("pinned", pins="203.0.113.5")
    assert (before.grant(web), before.grant(pinned)) == ("203.0.113.1", "203.0.113.5")
    before.allocations.close()
    world = World(tmp_path / "claims", ranges=after)
    host = HostPool(world.allocations, world.machine, after.host)
    world.addresses = Addresses(world.allocations, after, host=host)
    world.services = [web, pinned]
    udp = world.add("udp", key="k", protocol="UDP", **SELECTOR)
    assert [world.grant(one) for one in (web, udp, pinned)] == ["203.0.113.1", "203.0.113.1", "203.0.113.5"]
    assert world.sweep() == []
    assert world.addresses.is_of_former_network(ipaddress.ip_address("203.0.113.1"))
    wish = balancing.wish_of(web)
    assert not isinstance(wish, Wait)
    assert world.addresses.pool_name(wish, (ipaddress.ip_address("203.0.113.1"),)) == "public"
    new = "192.0.2.9" if after.host else "192.0.2.1"
    assert world.grant(world.add("new", ports=(8080,), **SELECTOR)) == new, "nothing of it is given anew"
    web["metadata"]["annotations"]["virtualservers.coreweave.com/leave-address"] = "203.0.113.1"
    moved = "192.0.2.9" if after.host else "192.0.2.2"
    assert world.grant(web) == moved
    assert world.grant(web) == moved, "the annotation may stay"
    if not after.host:
        assert world.grant(udp) == moved, "both Services of a server move at once"
        assert world.sweep() == ["203.0.113.1"]
    world.allocations.close()


@pytest.mark.parametrize("public", [(), ("192.0.2.0/32",)], ids=["the machine's own address", "a network that is full"])
def test_an_address_of_a_former_network_is_given_up_for_another_one_only(tmp_path: Path, public: Sequence[str]) -> None:
    """A floating Service, or one that a NIC is attached to, has no ports for the machine's own address to publish."""
    before = World(tmp_path / "claims")
    floating = before.add("floating")
    assert before.grant(floating) == "203.0.113.1"
    before.allocations.close()
    ranges = dataclasses.replace(OTHERS, public={"public": tuple(map(net, public))}, host=() if public else ("public",))
    world = World(tmp_path / "claims", ranges=ranges)
    host = HostPool(world.allocations, world.machine, ranges.host)
    world.addresses = Addresses(world.allocations, ranges, host=host, clock=world.clock)
    world.services = [floating]
    other = world.add("other", **SELECTOR)
    assert world.grant(other) == ("192.0.2.0" if public else "192.0.2.9")
    floating["metadata"]["annotations"]["virtualservers.coreweave.com/leave-address"] = "203.0.113.1"
    assert world.grant(floating) == "203.0.113.1"
    assert world.sweep() == [] and world.grant(floating) == "203.0.113.1", "it stays, and works"
    wish = balancing.wish_of(floating)
    assert not isinstance(wish, Wait) and not world.addresses.is_on_host(wish)
    if public:
        world.services.remove(other)
        assert world.sweep() == ["192.0.2.0"]
        assert world.grant(floating) == "192.0.2.0"
        assert world.sweep() == ["203.0.113.1"]
    world.allocations.close()


ON_LINK = dataclasses.replace(
    RANGES, public={"public": (net("203.0.113.0/29"),)}, uplink="eth1", routed=(net("203.0.113.0/29"),)
)
OTHERS_MAC = "02:00:00:00:00:99"


class Link:
    """The link on which a public pool is, with a neighbour there."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clock = Clock()
        self.vacancies = Vacancies(clock=self.clock)
        uplink = UplinkPools(world.allocations, self.vacancies, ON_LINK)
        world.addresses = Addresses(world.allocations, ON_LINK, clock=world.clock, uplink=uplink)
        self.taken: dict[Address, str] = {}

    def probe(self) -> list[str]:
        """Ask as the prober does, and return what was asked for."""
        due = [*self.vacancies.take_asked(), *self.world.addresses.to_probe()]
        self.vacancies.note(due, self.taken)
        return [str(address) for address in dict.fromkeys(due)]


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    world = World(tmp_path / "claims", ranges=ON_LINK)
    yield Link(world)
    world.allocations.close()


def test_an_address_on_the_uplink_is_given_once_nobody_there_has_it(link: Link) -> None:
    web = link.world.add("web")
    assert link.world.grant(web) == "AddressProbing"
    link.taken = {ipaddress.ip_address("203.0.113.1"): OTHERS_MAC}
    assert "203.0.113.1" in link.probe()
    assert link.world.grant(web) == "203.0.113.2", "somebody there has the first"
    assert link.world.grant(link.world.add("private", pool="private")) == "198.18.0.1", "no link is asked for those"
    assert link.world.grant(link.world.add("next", namespace="team")) == "203.0.113.3", "it was asked ahead"


def test_an_address_that_is_asked_for_by_name_says_who_has_it(link: Link) -> None:
    pinned = link.world.add("pinned", pins="203.0.113.5")
    link.taken = {ipaddress.ip_address("203.0.113.5"): OTHERS_MAC}
    assert link.world.grant(pinned) == "AddressProbing"
    assert link.probe()[0] == "203.0.113.5"
    denied = link.world.ask(pinned)
    assert isinstance(denied, Wait) and denied.reason == "AddressInUse"
    assert denied.message == f"203.0.113.5 belongs to {OTHERS_MAC} on link eth1: choose another"
    link.taken = {}
    link.clock.now += FRESH_SECONDS + 1
    assert link.world.grant(pinned) == "AddressProbing", "what was found out is too old"
    link.probe()
    assert link.world.grant(pinned) == "203.0.113.5"


def test_a_pool_that_others_have_used_up_says_who_they_are(link: Link) -> None:
    link.taken = dict.fromkeys(net("203.0.113.0/29").hosts(), OTHERS_MAC)
    web = link.world.add("web")
    link.probe()
    denied = link.world.ask(web)
    assert isinstance(denied, Wait) and denied.reason == "PoolExhausted"
    assert f"6 belong to others on the uplink: 203.0.113.1 ({OTHERS_MAC})" in denied.message


def test_held_addresses_stay_and_it_is_told_who_else_answers_for_them(link: Link) -> None:
    web = link.world.add("web")
    link.probe()
    assert link.world.grant(web) == "203.0.113.1"
    link.clock.now += FRESH_SECONDS + 1
    address = ipaddress.ip_address("203.0.113.1")
    link.taken = {address: OTHERS_MAC}
    assert link.world.addresses.contested(address) == ""
    assert "203.0.113.1" in link.probe(), "held ones are asked for too"
    assert link.world.addresses.contested(address) == OTHERS_MAC
    assert link.world.grant(web) == "203.0.113.1"


def test_addresses_are_asked_for_again_before_what_is_known_of_them_is_too_old(link: Link) -> None:
    first = link.probe()
    assert first and link.probe() == []
    link.clock.now += FRESH_SECONDS / 2 + 1
    assert link.probe() == first
    assert link.world.grant(link.world.add("web")) == "203.0.113.1"
