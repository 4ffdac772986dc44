"""Whatever servers and Services ask for, in whatever order the node looks at them: nobody's address is another's.

Services share, pin and move; servers have addresses of their own, attach and float; pools shrink, move and become the
machine's own address; the node starts again. Books and rules agree, no address has two owners, and none is lost.
``make soak`` lives longer lives of these than the suite does.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from virtualserver.api import names
from virtualserver.fabric.desired.state import Address, Ranges
from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.kube.objects import controller_reference
from virtualserver.node.allocation.addresses import Addresses
from virtualserver.node.allocation.allocations import Allocations, Claimant
from virtualserver.node.allocation.host_pool import HostPool
from virtualserver.node.allocation.pools import COOL_DOWN_SECONDS
from virtualserver.node.services import balancing, floating
from virtualserver.node.waits import Wait
from virtualserver.node.watches import WATCHES
from virtualserver.plan.floating import named as named_by
from virtualserver.plan.ownership import SERVICE_NAME, VIRTUAL_SERVER, claim_name
from virtualserver.plan.sites.quotas import AddressQuota

if TYPE_CHECKING:
    from virtualserver.kube.client import Client

net = ipaddress.ip_network
PUBLIC = {"wide": net("203.0.113.0/29"), "narrow": net("203.0.113.0/30"), "elsewhere": net("192.0.2.0/29")}
PRIVATE = net("198.18.0.0/30")
OWN = ipaddress.ip_address("192.0.2.99")
"""The machine's own address."""
RANGES = Ranges(
    public={"public": (PUBLIC["wide"],)},
    private={"private": (PRIVATE,)},
    guest=(net("10.42.0.0/29"),),
    service=(net("10.96.0.0/16"),),
    link=(ipaddress.IPv4Network("198.19.0.0/30"),),
)
NAMESPACES = st.sampled_from(["x", "y"])
NAMES = st.sampled_from(["a", "b", "c"])
WISHES = st.fixed_dictionaries(
    {
        "key": st.sampled_from([None, None, "k1", "k2"]),
        "pool": st.sampled_from([None, "public", "private"]),
        "pin": st.sampled_from([None, None, "203.0.113.2", "203.0.113.3", "198.18.0.1"]),
        "type": st.sampled_from(["LoadBalancer", "LoadBalancer", "LoadBalancer", "ClusterIP"]),
        "port": st.sampled_from([22, 80]),
        "selects": st.booleans(),
        "leaves": st.sampled_from([None, None, "203.0.113.5", "192.0.2.1"]),
    }
)


class Machine:
    """A machine whose own address may be a pool, and where nobody else listens."""

    address = OWN

    def occupant(self, protocol: str, port: int) -> str:
        return ""


class Life(RuleBasedStateMachine):
    """A node's books, the objects of an API server, and the rules and NICs that stand in the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1_000_000.0
        self.made = 0
        self.services: dict[str, dict[str, Any]] = {}
        self.standing: dict[str, frozenset[Address]] = {}
        self.servers: dict[str, dict[str, Any]] = {}
        self.claims: dict[str, dict[str, Any]] = {}
        self.floats: dict[str, tuple[frozenset[Address], str]] = {}
        self.nics: dict[str, frozenset[Address]] = {}
        self.attaching: set[str] = set()
        self.ranges = RANGES
        self.quota: int | None = None
        self.released: dict[str, tuple[float, str]] = {}
        self.open()

    def open(self) -> None:
        self.allocations = Allocations(Path(self.folder.name) / "claims", clock=lambda: self.now)
        host = HostPool(self.allocations, Machine(), self.ranges.host)
        self.addresses = Addresses(self.allocations, self.ranges, clock=lambda: self.now, host=host)

    def teardown(self) -> None:
        self.allocations.close()
        self.folder.cleanup()

    # What tenants and administrators do -----------------------------------------------------------------------------

    @rule(namespace=NAMESPACES, name=NAMES, wish=WISHES)
    def apply(self, namespace: str, name: str, wish: dict[str, Any]) -> None:
        path = f"{namespace}/{name}"
        if path not in self.services:
            self.services[path] = {"kind": "Service", "metadata": self.metadata(namespace, name)}
        service = self.services[path]
        annotations = {
            "metallb.io/allow-shared-ip": wish["key"],
            "metallb.io/address-pool": wish["pool"],
            "metallb.io/loadBalancerIPs": wish["pin"],
            names.LEAVES: wish["leaves"],
        }
        service["metadata"]["annotations"] = {key: value for key, value in annotations.items() if value}
        service["spec"] = {"type": wish["type"], "ports": [{"port": wish["port"], "protocol": "TCP"}]}
        if wish["selects"]:
            service["spec"]["selector"] = {"app": "web"}

    def metadata(self, namespace: str, name: str) -> dict[str, Any]:
        self.made += 1
        found = {"namespace": namespace, "name": name, "uid": f"uid-{self.made}", "resourceVersion": str(self.made)}
        return {**found, "creationTimestamp": f"{self.made:09}"}

    @precondition(lambda self: self.services)
    @rule(data=st.data(), finalizer=st.booleans())
    def delete(self, data: st.DataObject, finalizer: bool) -> None:
        path = data.draw(st.sampled_from(sorted(self.services)))
        if finalizer:
            self.services[path]["metadata"]["deletionTimestamp"] = "now"
        else:
            del self.services[path]

    @rule(namespace=NAMESPACES, name=st.sampled_from(["s", "t"]), named=st.lists(NAMES, max_size=2))
    def serve(self, namespace: str, name: str, named: list[str]) -> None:
        """Make a server, or let one that there is name other floating addresses: they move."""
        path = f"{namespace}/{name}"
        server = self.servers.setdefault(path, {"kind": "VirtualServer"})
        server.setdefault("metadata", self.metadata(namespace, name))
        server["spec"] = {"network": {"floatingIPs": list(named)}}

    @precondition(lambda self: self.servers)
    @rule(data=st.data())
    def delete_server(self, data: st.DataObject) -> None:
        del self.servers[data.draw(st.sampled_from(sorted(self.servers)))]

    @rule(to=st.sampled_from([*PUBLIC, "host"]))
    def have_other_pools(self, to: str) -> None:
        """Shrink or move the public pool, or make it the machine's own address, as `vs up` does: what is held stays."""
        former = frozenset(PUBLIC.values()) - {PUBLIC.get(to)}
        self.ranges = dataclasses.replace(
            RANGES,
            public={"public": (PUBLIC[to],) if to in PUBLIC else ()},
            former={"public": tuple(sorted(former, key=str))},
            host=() if to in PUBLIC else ("public",),
        )
        self.restart()

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
        uid, granted = service["metadata"]["uid"], self.granted(service)
        self.standing[uid] = granted
        owners = {self.group_holding(address) for address in granted - {OWN}}
        assert owners <= {uid, balancing.group_of(service)}, "what another one's Services have is not given twice"
        self.floats.pop(uid, None)
        if granted and OWN not in granted and (server := self.floats_to(service, granted)):
            self.floats[uid] = granted, server

    def group_holding(self, address: Address) -> str:
        held = self.allocations.of_value("address", str(address))
        assert held
        return held.owner

    def floats_to(self, service: dict[str, Any], granted: frozenset[Address]) -> str | None:
        """Return the UID of the server that has addresses as floating ones: of a group's, the oldest's."""
        cache = Cache(cast("Client", None), WATCHES)
        for resource, objects in ((VIRTUAL_SERVER, self.servers), (kinds.ENDPOINT_SLICE, self.claims)):
            for one in objects.values():
                cache.remember(resource, one)
        if floating.claimant(cache, service, granted) is None:
            return None
        found = (floating.claimant(cache, one, granted) for one in self.sharing(service).services)
        return next(one["metadata"]["uid"] for one in found if one is not None)

    def sharing(self, service: dict[str, Any]) -> balancing.SharingGroup:
        others = [one for one in self.services.values() if balancing.wants_address(one)]
        return balancing.SharingGroup(one for one in others if balancing.group_of(one) == balancing.group_of(service))

    @precondition(lambda self: self.servers)
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        self.claim_for(data.draw(st.sampled_from(sorted(self.servers))))

    def claim_for(self, path: str) -> None:
        """As the operator does: give up what is named no more, and create what is not there, never over another's."""
        server = self.servers[path]
        metadata, named = server["metadata"], named_by(server)
        self.collect_claims()
        for key, one in list(self.claims.items()):
            is_own = one["metadata"]["ownerReferences"][0]["uid"] == metadata["uid"]
            if is_own and key.partition("/")[2] not in named:
                del self.claims[key]
        for service in named:
            key = f"{metadata['namespace']}/{service}"
            if key in self.services and key not in self.claims:
                self.claims[key] = {
                    "kind": "EndpointSlice",
                    "metadata": {
                        **self.metadata(metadata["namespace"], claim_name(service)),
                        "labels": {SERVICE_NAME: service},
                        "ownerReferences": [controller_reference(VIRTUAL_SERVER, server)],
                    },
                }

    @rule()
    def collect_claims(self) -> None:
        """As the garbage collector does."""
        living = {one["metadata"]["uid"] for one in self.servers.values()}
        owners = {key: one["metadata"]["ownerReferences"][0]["uid"] for key, one in self.claims.items()}
        self.claims = {key: one for key, one in self.claims.items() if owners[key] in living}

    @precondition(lambda self: self.servers)
    @rule(data=st.data(), attach=st.none() | NAMES)
    def start(self, data: st.DataObject, attach: str | None) -> None:
        """Start a server's machine, with an address of its own or with those of a Service on its NIC."""
        path = data.draw(st.sampled_from(sorted(self.servers)))
        metadata = self.servers[path]["metadata"]
        owner, namespace = metadata["uid"], metadata["namespace"]
        if owner in self.nics:
            return
        if attach is None:
            self.addresses.detach(owner)
            given = self.addresses.guest(owner, Claimant(namespace, f"VirtualMachine {metadata['name']}"))
        else:
            service = self.services.get(f"{namespace}/{attach}")
            given = tuple(self.granted(service)) if service else ()
            if not given or OWN in given:
                return
            given = self.addresses.attach(owner, given) or given
            self.attaching.add(owner)
        if not isinstance(given, Wait):
            self.nics[owner] = frozenset(given)

    @precondition(lambda self: self.nics)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        owner = data.draw(st.sampled_from(sorted(self.nics)))
        del self.nics[owner]
        self.attaching.discard(owner)
        self.addresses.detach(owner)

    @rule()
    def remove_the_rules_of_what_is_gone(self) -> None:
        living = {one["metadata"]["uid"] for one in self.services.values()}
        self.standing = {uid: rules for uid, rules in self.standing.items() if uid in living}
        self.floats = {uid: one for uid, one in self.floats.items() if uid in living}

    @rule()
    def sweep(self) -> None:
        services = [one for one in self.services.values() if balancing.wants_address(one)]
        in_use = {str(one) for each in (*self.standing.values(), *self.nics.values()) for one in each}
        alive = {one["metadata"]["uid"] for one in self.servers.values()}
        for one in self.addresses.sweep(
            alive=alive, wishes=balancing.wishes_of(services), attaching=self.attaching & alive, in_use=in_use
        ):
            if one.kind == "address":
                self.released[one.value] = self.now, one.claimant.namespace

    @rule()
    def restart(self) -> None:
        self.allocations.close()
        self.open()
        self.standing = {one["metadata"]["uid"]: self.granted(one) for one in self.services.values()}

    def granted(self, service: dict[str, Any]) -> frozenset[Address]:
        if not balancing.wants_address(service):
            return frozenset()
        wish = balancing.wish_of(service, self.sharing(service), quota=AddressQuota(self.quota))
        before = self.allocations.values("address")
        granted = wish if isinstance(wish, Wait) else self.addresses.balancer(wish)
        for address in self.allocations.values("address") - before:
            self.check_pause(address, before, service["metadata"]["namespace"])
            self.check_quota(address, service["metadata"]["namespace"])
        return frozenset() if isinstance(granted, Wait) else frozenset(granted)

    # What must hold -------------------------------------------------------------------------------------------------

    def pool_of(self, address: str) -> list[str]:
        """Return all that the pool may give from which an address was given just now."""
        pools = ([str(one) for one in network.hosts()] for network in (*self.ranges.public["public"], PRIVATE))
        return next(pool for pool in pools if address in pool)

    def is_cooling(self, address: str) -> bool:
        return address in self.released and self.now - self.released[address][0] < COOL_DOWN_SECONDS

    def check_pause(self, address: str, before: set[str], namespace: str) -> None:
        """What another namespace gave back a moment ago is only given where the pool has nothing else."""
        if self.is_cooling(address) and self.released[address][1] != namespace:
            pool = self.pool_of(address)
            assert not [one for one in pool if one not in before and not self.is_cooling(one)]

    def check_quota(self, address: str, namespace: str) -> None:
        pool = self.pool_of(address)
        held = [one for one in self.allocations.all() if one.claimant.namespace == namespace and one.kind == "address"]
        assert self.quota is None or sum(one.value in pool for one in held) <= self.quota

    @invariant()
    def the_books_know_of_every_rule_and_nic(self) -> None:
        for each in (*self.standing.values(), *self.nics.values()):
            assert all(self.allocations.of_value("address", str(address)) for address in each - {OWN})

    @invariant()
    def no_address_is_of_two_namespaces(self) -> None:
        owners: dict[Address, set[str]] = {}
        uids = {one["metadata"]["uid"]: one for one in (*self.services.values(), *self.servers.values())}
        for uid, addresses in (*self.standing.items(), *self.nics.items()):
            for address in addresses - {OWN}:
                held = self.allocations.of_value("address", str(address))
                assert held
                owners.setdefault(address, {held.claimant.namespace})
                if uid in uids:
                    owners[address].add(uids[uid]["metadata"]["namespace"])
        assert all(len(namespaces) == 1 for namespaces in owners.values()), owners

    @invariant()
    def no_address_is_on_two_nics(self) -> None:
        every = [address for addresses in self.nics.values() for address in addresses]
        assert len(every) == len(set(every)), self.nics

    @rule()
    def once_all_is_looked_at_each_has_one_address_and_nobody_else_has_any(self) -> None:
        for _ in range(3):
            self.collect_claims()
            for path in self.servers:
                self.claim_for(path)
            self.remove_the_rules_of_what_is_gone()
            for path in self.services:
                self.look_at(path)
            self.sweep()
        of_servers = {one["metadata"]["uid"] for one in self.servers.values()}
        own = {one.value for one in self.allocations.all() if one.purpose == "guest/4" and one.owner in of_servers}
        used = {str(one) for each in (*self.standing.values(), *self.nics.values()) for one in each - {OWN}}
        assert self.allocations.values("address") == used | own
        assert all(len(rules) <= 1 for rules in self.standing.values())
        self.each_floats_to_one_server()
        self.each_port_of_the_machine_is_of_one_service()

    def each_floats_to_one_server(self) -> None:
        """And to one that lives and names it."""
        living = {one["metadata"]["uid"]: one for one in self.servers.values()}
        found: dict[Address, str] = {}
        for uid, (addresses, server) in self.floats.items():
            (service,) = (one for one in self.services.values() if one["metadata"]["uid"] == uid)
            group = {one["metadata"]["name"] for one in self.sharing(service).services}
            assert group & set(named_by(living[server]))
            for address in addresses:
                assert found.setdefault(address, server) == server, self.floats

    def each_port_of_the_machine_is_of_one_service(self) -> None:
        on_host = {uid for uid, rules in self.standing.items() if OWN in rules}
        services = [one for one in self.services.values() if one["metadata"]["uid"] in on_host]
        ports = [f"TCP/{port['port']}" for one in services for port in one["spec"]["ports"]]
        assert len(ports) == len(set(ports)) and set(ports) == self.allocations.values("port")


SHORT = settings(max_examples=60, stateful_step_count=40)
Life.TestCase.settings = settings() if settings.get_current_profile_name() == "soak" else SHORT
TestLife = Life.TestCase
