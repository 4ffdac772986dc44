"""Whatever Services ask for, in whatever order the node looks at them: books and rules agree, also over restarts."""

from __future__ import annotations

import ipaddress
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from virtualserver.fabric.desired.state import Address, Ranges
from virtualserver.node.allocation.addresses import Addresses
from virtualserver.node.allocation.allocations import Allocations
from virtualserver.node.allocation.pools import COOL_DOWN_SECONDS
from virtualserver.node.services import balancing
from virtualserver.node.waits import Wait
from virtualserver.plan.sites.quotas import AddressQuota

net = ipaddress.ip_network
POOLS = {"public": net("203.0.113.0/29"), "private": net("198.18.0.0/30")}
RANGES = Ranges(
    public={"public": (POOLS["public"],)},
    private={"private": (POOLS["private"],)},
    guest=(net("10.42.0.0/29"),),
    service=(net("10.96.0.0/16"),),
    link=(ipaddress.IPv4Network("198.19.0.0/30"),),
)
NAMESPACES = st.sampled_from(["x", "y"])
WISHES = st.fixed_dictionaries(
    {
        "key": st.sampled_from([None, None, "k1", "k2"]),
        "pool": st.sampled_from([None, "public", "private"]),
        "pin": st.sampled_from([None, None, "203.0.113.2", "203.0.113.3", "198.18.0.1"]),
        "type": st.sampled_from(["LoadBalancer", "LoadBalancer", "LoadBalancer", "ClusterIP"]),
        "port": st.sampled_from([22, 80]),
    }
)


class Life(RuleBasedStateMachine):
    """A node's books, the Services of an API server, and the rules that stand in the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1_000_000.0
        self.made = 0
        self.services: dict[str, dict[str, Any]] = {}
        self.standing: dict[str, frozenset[Address]] = {}
        self.quota: int | None = None
        self.released: dict[str, tuple[float, str]] = {}
        self.open()

    def open(self) -> None:
        self.allocations = Allocations(Path(self.folder.name) / "claims", clock=lambda: self.now)
        self.addresses = Addresses(self.allocations, RANGES, clock=lambda: self.now)

    def teardown(self) -> None:
        self.allocations.close()
        self.folder.cleanup()

    # What tenants and administrators do -----------------------------------------------------------------------------

    @rule(namespace=NAMESPACES, name=st.sampled_from(["a", "b", "c"]), wish=WISHES)
    def apply(self, namespace: str, name: str, wish: dict[str, Any]) -> None:
        path = f"{namespace}/{name}"
        if path not in self.services:
            self.made += 1
            metadata = {"namespace": namespace, "name": name, "uid": f"uid-{self.made}"}
            self.services[path] = {"metadata": {**metadata, "creationTimestamp": f"{self.made:09}"}}
        service = self.services[path]
        annotations = {
            "metallb.io/allow-shared-ip": wish["key"],
            "metallb.io/address-pool": wish["pool"],
            "metallb.io/loadBalancerIPs": wish["pin"],
        }
        service["metadata"]["annotations"] = {key: value for key, value in annotations.items() if value}
        service["spec"] = {"type": wish["type"], "ports": [{"port": wish["port"], "protocol": "TCP"}]}

    @precondition(lambda self: self.services)
    @rule(data=st.data(), finalizer=st.booleans())
    def delete(self, data: st.DataObject, finalizer: bool) -> None:
        path = data.draw(st.sampled_from(sorted(self.services)))
        if finalizer:
            self.services[path]["metadata"]["deletionTimestamp"] = "now"
        else:
            del self.services[path]

    @rule(quota=st.sampled_from([None, 0, 1, 2]))
    def allow(self, quota: int | None) -> None:
        self.quota = quota

    @rule(seconds=st.sampled_from([1.0, 100.0, COOL_DOWN_SECONDS]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    # What the node does, in any order -------------------------------------------------------------------------------

    @precondition(lambda self: self.services)
    @rule(data=st.data())
    def look_at_one(self, data: st.DataObject) -> None:
        self.look_at(data.draw(st.sampled_from(sorted(self.services))))

    def look_at(self, path: str) -> None:
        service = self.services[path]
        self.standing[service["metadata"]["uid"]] = self.granted(service)

    @rule()
    def remove_the_rules_of_what_is_gone(self) -> None:
        living = {one["metadata"]["uid"] for one in self.services.values()}
        self.standing = {uid: rules for uid, rules in self.standing.items() if uid in living}

    @rule()
    def sweep(self) -> None:
        services = [one for one in self.services.values() if balancing.wants_address(one)]
        in_use = {str(address) for rules in self.standing.values() for address in rules}
        for one in self.addresses.sweep(
            alive=set(), wishes=balancing.wishes_of(services), attaching=set(), in_use=in_use
        ):
            self.released[one.value] = self.now, one.claimant.namespace

    @rule()
    def restart(self) -> None:
        self.allocations.close()
        self.open()
        self.standing = {one["metadata"]["uid"]: self.granted(one) for one in self.services.values()}

    def granted(self, service: dict[str, Any]) -> frozenset[Address]:
        if not balancing.wants_address(service):
            return frozenset()
        group = balancing.group_of(service)
        others = [one for one in self.services.values() if balancing.wants_address(one)]
        others = [one for one in others if balancing.group_of(one) == group]
        wish = balancing.wish_of(service, balancing.SharingGroup(others), quota=AddressQuota(self.quota))
        before = self.allocations.values("address")
        granted = wish if isinstance(wish, Wait) else self.addresses.balancer(wish)
        for address in self.allocations.values("address") - before:
            self.check_pause(address, before, service["metadata"]["namespace"])
            self.check_quota(address, service["metadata"]["namespace"])
        return frozenset() if isinstance(granted, Wait) else frozenset(granted)

    # What must hold -------------------------------------------------------------------------------------------------

    def is_cooling(self, address: str) -> bool:
        return address in self.released and self.now - self.released[address][0] < COOL_DOWN_SECONDS

    def check_pause(self, address: str, before: set[str], namespace: str) -> None:
        """What another namespace gave back a moment ago is only given where the pool has nothing else."""
        if self.is_cooling(address) and self.released[address][1] != namespace:
            pool = next(network for network in POOLS.values() if ipaddress.ip_address(address) in network)
            assert not [one for one in map(str, pool.hosts()) if one not in before and not self.is_cooling(one)]

    def check_quota(self, address: str, namespace: str) -> None:
        pool = next(network for network in POOLS.values() if ipaddress.ip_address(address) in network)
        held = [one for one in self.allocations.all() if one.claimant.namespace == namespace]
        assert self.quota is None or sum(ipaddress.ip_address(one.value) in pool for one in held) <= self.quota

    @invariant()
    def the_books_know_of_every_rule(self) -> None:
        for rules in self.standing.values():
            assert all(self.allocations.of_value("address", str(address)) for address in rules)

    @invariant()
    def no_address_is_of_two_namespaces(self) -> None:
        owners: dict[Address, set[str]] = {}
        uids = {one["metadata"]["uid"]: one for one in self.services.values()}
        for uid, rules in self.standing.items():
            for address in rules:
                held = self.allocations.of_value("address", str(address))
                assert held
                owners.setdefault(address, {held.claimant.namespace})
                if uid in uids:
                    owners[address].add(uids[uid]["metadata"]["namespace"])
        assert all(len(namespaces) == 1 for namespaces in owners.values()), owners

    @rule()
    def once_all_is_looked_at_each_service_holds_one_address_and_nobody_else_does(self) -> None:
        for _ in range(3):
            self.remove_the_rules_of_what_is_gone()
            for path in self.services:
                self.look_at(path)
            self.sweep()
        used = {str(address) for rules in self.standing.values() for address in rules}
        assert self.allocations.values("address") == used
        assert all(len(rules) <= 1 for rules in self.standing.values())


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
