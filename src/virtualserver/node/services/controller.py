"""Services of machines: their load balancer addresses, published ports, names and EndpointSlices.

What MetalLB, kube-proxy and the endpoints controllers do on a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from virtualserver.api import names
from virtualserver.fabric.refusals import Refused
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import condition_of, with_conditions
from virtualserver.kube.controller import Controller
from virtualserver.kube.objects import Key, Manifest, age_of, key_of
from virtualserver.kube.patch import merge_patch
from virtualserver.kube.trouble import FAULTS_OF_CONTENT
from virtualserver.node.allocation.addresses import PASSING
from virtualserver.node.allocation.wishes import AddressWish
from virtualserver.node.ownership import server_of
from virtualserver.node.services import balancing, by_hand, floating, quotas, relations, rules
from virtualserver.node.services.conditions import OWNED, conditions_of
from virtualserver.node.services.slices import Slices
from virtualserver.node.waits import Wait
from virtualserver.plan.floating import places

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from virtualserver.controlplane.site import SiteFound
    from virtualserver.fabric.dataplane import DataPlane
    from virtualserver.fabric.desired.state import Address, ServiceRules
    from virtualserver.host.followed import Followed
    from virtualserver.kube.cache import Cache
    from virtualserver.node.allocation.addresses import Addresses
    from virtualserver.node.held import Held
    from virtualserver.node.overseer import Overseer
    from virtualserver.node.queues import Queues
    from virtualserver.node.writer import NodeWriter

__all__ = ["ServiceController"]

_logger = logging.getLogger(__name__)

_REFUSED_SECONDS: Final = 5.0
"""What the API server refused is tried again this often: a quota may leave room, and nobody tells of it."""

_LEFT_OUT_SECONDS: Final = 30.0
"""How often rules are tried again that the data plane refuses."""


class _Sharing(NamedTuple):
    """The Services that share an address with one, itself included, and who has the address.

    Attributes:
        group: The Services.
        is_attached: Whether the address is, or will be, a NIC's own.
        floats_to: The VirtualServer that has it as a floating address, None for none.
    """

    group: balancing.SharingGroup
    is_attached: bool
    floats_to: Manifest | None = None


class _Look(NamedTuple):
    """One look at a Service: what it has, and whom it leads to.

    Attributes:
        sharing: The Services that share its address.
        granted: Its load balancer addresses, or why it has none.
        selected: The VMIs that it sends traffic to by its selector.
        floats: Where its addresses float to; None: they do not.
        members: The VMIs that it leads to, by its selector or as floating addresses do.
    """

    sharing: _Sharing
    granted: tuple[Address, ...] | Wait
    selected: list[Manifest]
    floats: floating.Floats | None
    members: list[rules.Backend]


class _Glance:
    """What one look at many Services has seen already.

    Each group of Services that share an address is looked at once, however many of them there are.
    """

    def __init__(self, look: Callable[[Manifest], _Sharing], cache: Cache) -> None:
        self._look = look
        self._groups: dict[str, _Sharing] = {}
        self.seen = relations.Labels(cache)

    def sharing(self, service: Manifest) -> _Sharing:
        """Return the Services that share a Service's address."""
        group = balancing.group_of(service)
        found = self._groups[group] = self._groups.get(group) or self._look(service)
        return found


class ServiceController:
    """Brings every Service into the data plane, and reports it."""

    def __init__(
        self,
        cache: Cache,
        writer: NodeWriter,
        queues: Queues,
        held: Held,
        addresses: Addresses,
        dataplane: DataPlane,
        overseer: Overseer,
        site: Followed[SiteFound],
        *,
        node: str,
    ) -> None:
        """Name what it works with.

        Args:
            cache: What the API has.
            writer: Writes slices and statuses.
            queues: Its own one, and that of the VMIs that wait for a Service.
            held: The links that guests have.
            addresses: Grants load balancer addresses.
            dataplane: Where the Services go.
            overseer: Watches over its passes.
            site: Has the quotas of namespaces that say nothing themselves.
            node: The name of the Node that the endpoints run on.
        """
        self._cache = cache
        self._writer = writer
        self._queues = queues
        self._held = held
        self._addresses = addresses
        self._dataplane = dataplane
        self._slices = Slices(cache, writer, node=node)
        self._site = site
        self._applied: dict[str, ServiceRules] = {}
        # What rules may stand for, by UID: while a change is written, both what was and what comes.
        self._standing: dict[str, frozenset[Address]] = {}
        self._uids: dict[Key, str] = {}
        self._controller: Controller[Key] = Controller(
            name="service",
            reconcile=self._reconcile,
            queue=queues.services,
            subject=overseer.subject(kinds.SERVICE),
            oversight=overseer.oversight,
        )

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def adopt(self) -> dict[str, ServiceRules]:
        """Return the rules of all Services by UID, for the first synchronisation; grants what is missing.

        One whose rules cannot be told is left out: its own pass says so.
        """
        glance = _Glance(self._sharing, self._cache)
        for service in self._cache.all(kinds.SERVICE):
            await asyncio.sleep(0)  # thousands of a tenant's take seconds together
            uid = service["metadata"]["uid"]
            self._uids[key_of(service)] = uid
            try:
                wanted = self._rules(service, self._look(service, glance.sharing(service), seen=glance.seen))
            except FAULTS_OF_CONTENT:
                _logger.exception("%s/%s: is left out of the data plane", *key_of(service))
                continue
            self._applied[uid], self._standing[uid] = wanted, wanted.addresses
        return dict(self._applied)

    # Questions of others ----------------------------------------------------------------------------------------------

    def addresses_in_use(self) -> set[str]:
        """Return every address that a rule of a Service stands for: whoever asks for it, it is not free."""
        return {str(address) for addresses in self._standing.values() for address in addresses}

    def ports_in_use(self) -> set[str]:
        """Return every port of the machine's own address that a rule stands for, as it is recorded."""
        return {port for rules in self._applied.values() for port in self._ports_on_host(rules)}

    def _ports_on_host(self, rules: ServiceRules | None) -> set[str]:
        if rules is None or not self._dataplane.called_by_host:
            return set()
        ends = self._dataplane.called_by_host
        return {f"{port.protocol}/{port.port}" for port in rules.ports | rules.withheld if port.address in ends}

    def granted(self, key: Key) -> tuple[Address, ...] | Wait:
        """Return the addresses of a load balancer Service that a machine shall have on its NIC."""
        service = self._cache.get(kinds.SERVICE, key)
        if service is None or not balancing.wants_address(service):
            return Wait("WaitingForAddress", f"Service {key[0]}/{key[1]} of type LoadBalancer does not exist yet")
        return self._grant(service, self._sharing(service).group)

    def floats_to_another(self, key: Key, vmi: Manifest) -> str | None:
        """Return the name of the server that has a Service's address as a floating one, where a VMI is not its own."""
        service = self._cache.get(kinds.SERVICE, key)
        server = self._sharing(service).floats_to if service is not None else None
        if server is None or server["metadata"]["uid"] == server_of(self._cache, vmi):
            return None
        return server["metadata"]["name"]

    def announcing(self, addresses: Sequence[Address]) -> list[Key]:
        """Return the Services for which the data plane itself still answers at one of these addresses."""
        announced = {uid: rules.announced for uid, rules in self._applied.items()}
        return [key for key, uid in self._uids.items() if not announced.get(uid, frozenset()).isdisjoint(addresses)]

    async def missing_of(self, vmi: Manifest) -> str:
        """Return what of a Service that concerns a VMI is not in the data plane as it should be; ``""``: nothing.

        Args:
            vmi: With the status that is about to be written: a guest that becomes ready with it is so no earlier than
                its ports are open.
        """
        glance = _Glance(self._sharing, self._cache)
        for key in relations.services_of(self._cache, vmi):
            await asyncio.sleep(0)  # as in `adopt`
            service = self._cache.get(kinds.SERVICE, key)
            if service is None:
                continue
            look = self._look(service, glance.sharing(service), coming=vmi, seen=glance.seen)
            if why := self._dataplane.why_left_out(service["metadata"]["uid"]):
                return f"Service {key[1]}: {why}"
            applied = self._applied.get(service["metadata"]["uid"])
            if isinstance(look.granted, Wait) or applied != self._rules(service, look):
                return "its ports are being put in place"
        return ""

    def applied(self, uid: str) -> ServiceRules | None:
        """Return what of a Service is in the data plane, None where nothing is."""
        return self._applied.get(uid)

    # The work -------------------------------------------------------------------------------------------------------

    async def _reconcile(self, key: Key) -> float | None:
        """Bring one Service into the data plane and write what the API shows of it."""
        service = self._cache.get(kinds.SERVICE, key)
        uid = service["metadata"]["uid"] if service else None
        if (before := self._uids.get(key)) and before != uid:
            await self._take_away(before)
            del self._uids[key]
        if service is None or uid is None or self._namespace(service) is None:
            return None
        look = await self._bring(service)
        # The garbage collector removes the slices of one that is being deleted; it may wait for them to be gone.
        is_going = bool(service["metadata"].get("deletionTimestamp"))
        refused = "" if is_going else await self._slices.write(service, look.members)
        await self._write_status(service, look, refused=refused)
        if self._dataplane.why_left_out(uid):
            return _LEFT_OUT_SECONDS
        if refused:
            return _REFUSED_SECONDS
        granted = look.granted
        return granted.retry_seconds if isinstance(granted, Wait) and granted.reason in PASSING else None

    async def withdraw(self, vmi: Manifest) -> None:
        """Have the Services that lead to a VMI whose machine has ended lead to others, where others are ready.

        To be done before its link goes, or some of the connections that are opened meanwhile would lead nowhere.
        """
        for key in relations.services_of(self._cache, vmi):
            service = self._cache.get(kinds.SERVICE, key)
            if service is not None and service["metadata"]["uid"] in self._applied:
                with contextlib.suppress(*FAULTS_OF_CONTENT):  # which its own pass tells
                    await self._bring(service)

    async def _bring(self, service: Manifest) -> _Look:
        """Look at a Service, and bring it into the data plane unless it is there as it should be."""
        key, uid = key_of(service), service["metadata"]["uid"]
        look = self._look(service, self._sharing(service))
        wanted = self._rules(service, look)
        if self._applied.get(uid) != wanted or self._dataplane.why_left_out(uid):
            self._uids[key] = uid
            if await self._put(uid, wanted):
                self._look_at_others_of(look.sharing.floats_to, key)
                self._look_at_those_that_float(look.sharing, key)
            for vmi in relations.waiting_vmis(self._cache, service):
                self._queues.vmis.add(vmi)
        return look

    async def _put(self, uid: str, wanted: ServiceRules) -> bool:
        """Bring rules into the data plane, and return whether it takes them; else it knows why.

        What they stood for before may be freed afterwards, and not earlier.
        """
        before = self._standing.get(uid, frozenset())
        self._standing[uid] = before | wanted.addresses
        try:
            await self._dataplane.set_service(uid, wanted)
        except Refused:
            return False
        ports = self._ports_on_host(self._applied.get(uid))
        self._applied[uid], self._standing[uid] = wanted, wanted.addresses
        if before - wanted.addresses or ports - self._ports_on_host(wanted):
            self._queues.sweep_soon()
        return True

    async def _take_away(self, uid: str) -> None:
        """Remove the rules of a Service that is gone."""
        await self._dataplane.remove_service(uid)
        self._applied.pop(uid, None)
        if self._standing.pop(uid, None):
            self._queues.sweep_soon()

    def _namespace(self, service: Manifest) -> Manifest | None:
        """Return a Service's Namespace, None while the cache, which learns of each kind by itself, has it not."""
        return self._cache.get(kinds.NAMESPACE, ("", service["metadata"]["namespace"]))

    def _sharing(self, service: Manifest) -> _Sharing:
        services = self._cache.by_index(kinds.SERVICE, balancing.GROUP, balancing.group_of(service))
        group = balancing.SharingGroup(services)
        server = self._floats_to(group)
        floats_to = server["metadata"]["uid"] if server is not None else None
        return _Sharing(group, relations.is_attached(self._cache, services, floats_to=floats_to), server)

    def _floats_to(self, group: balancing.SharingGroup) -> Manifest | None:
        """Return the VirtualServer that has the address of Services as a floating one: by the oldest claim that counts.

        None where a guest's NIC has it.
        """
        claims = ((self._cache.get(kinds.ENDPOINT_SLICE, floating.claim_of(one)), one) for one in group.services)
        claimed = [(age_of(claim), one) for claim, one in claims if claim is not None]
        for _, service in sorted(claimed, key=lambda found: found[0]):
            granted = self._grant(service, group)
            if isinstance(granted, Wait) or not granted:
                continue
            server = floating.claimant(self._cache, service, granted)
            if server is not None:
                return server if self._held.addresses().isdisjoint(granted) else None
        return None

    def _grant(self, service: Manifest, group: balancing.SharingGroup) -> tuple[Address, ...] | Wait:
        if not balancing.wants_address(service):
            return ()
        namespace = self._namespace(service)
        if namespace is None:
            return Wait("WaitingForAddress", f"namespace {service['metadata']['namespace']} is not known yet")
        quota = quotas.quota_of(namespace, self._site.value.site.quotas)
        wish = balancing.wish_of(service, group, quota=quota, opened=self._opened(service))
        return wish if isinstance(wish, Wait) else self._addresses.balancer(wish)

    def _opened(self, service: Manifest) -> frozenset[str] | None:
        """Return the pools that a Service's pinned address may be of, where a server's manifest names it; None: any."""
        is_servers = server_of(self._cache, service) is not None
        return self._site.value.site.opened_to(service["metadata"]["namespace"]) if is_servers else None

    def _look(
        self,
        service: Manifest,
        sharing: _Sharing,
        *,
        coming: Manifest | None = None,
        seen: relations.Labels | None = None,
    ) -> _Look:
        """Look at a Service; what it may have is granted.

        Args:
            service: The Service.
            sharing: The Services that share its address.
            coming: A VMI as it is about to be; None: all are as the cache has them.
            seen: As for `relations.members_of`.
        """
        granted, selected = self._grant(service, sharing.group), relations.members_of(self._cache, service, seen)
        floats = self._floats(service, granted, sharing)
        members = [floats.vmi] if floats is not None and floats.vmi is not None else selected
        if coming is not None:
            members = [coming if key_of(vmi) == key_of(coming) else vmi for vmi in members]
            if floats is not None and coming in members:
                floats = floats._replace(addresses=relations.addresses_on(self._held, coming))
        backends = [rules.Backend(vmi, relations.addresses_on(self._held, vmi)) for vmi in members]
        return _Look(sharing, granted, selected, floats, backends)

    def _floats(
        self, service: Manifest, granted: tuple[Address, ...] | Wait, sharing: _Sharing
    ) -> floating.Floats | None:
        """Return where the addresses of a Service float to, None where they do not.

        Of the Services that share an address, those that float do so to one server.
        """
        server = sharing.floats_to
        if isinstance(granted, Wait) or not granted or sharing.is_attached or server is None or self._on_host(service):
            return None
        if not self._is_had_by(server, service, granted):
            return None
        vmi = floating.guest_of(self._cache, server)
        link = self._held.cluster_link(vmi["metadata"]["uid"]) if vmi is not None else None
        return floating.Floats(
            server,
            vmi,
            relations.addresses_on(self._held, vmi) if vmi is not None else (),
            is_source=link is not None and link.translated and self._is_first(server, service, granted),
            services=tuple(one for one in sharing.group.services if self._is_had_by(server, one, granted)),
        )

    def _is_had_by(self, server: Manifest, service: Manifest, addresses: tuple[Address, ...]) -> bool:
        """Return whether a server has a Service's addresses as floating ones, as the operator judges too."""
        is_claimant = floating.claimant(self._cache, service, addresses) is server
        return is_claimant and not relations.is_for_machines(self._cache, service)

    def _is_first(self, server: Manifest, service: Manifest, granted: tuple[Address, ...]) -> bool:
        """Return whether a Service is the first of those that a server names and has an address of."""
        first = min(places(server, service, granted))
        for key in floating.claimed_by(self._cache, server["metadata"]["uid"]):
            other = self._cache.get(kinds.SERVICE, key)
            if other is None or key == key_of(service):
                continue
            addresses = self._grant(other, self._sharing(other).group)
            if isinstance(addresses, Wait) or not addresses:
                continue
            if self._is_had_by(server, other, addresses) and min(places(server, other, addresses)) < first:
                return False
        return True

    def _look_at_others_of(self, server: Manifest | None, key: Key) -> None:
        """Look again at the other Services of a server: the address with which its guest leaves may be another."""
        if server is not None:
            for other in floating.claimed_by(self._cache, server["metadata"]["uid"]):
                if other != key:
                    self._queues.services.add(other)

    def _look_at_those_that_float(self, sharing: _Sharing, key: Key) -> None:
        """Look again at the claimed Services that share an address: what of it floats depends on all of them."""
        for service in sharing.group.services:
            if (other := key_of(service)) != key and self._cache.get(kinds.ENDPOINT_SLICE, floating.claim_of(service)):
                self._queues.services.add(other)

    def _rules(self, service: Manifest, look: _Look) -> ServiceRules:
        sharing = look.sharing
        return rules.rules_of(
            service,
            look.members,
            granted=() if isinstance(look.granted, Wait) else look.granted,
            on_guests=self._held.addresses(),
            is_attached=sharing.is_attached,
            attached=relations.attached_addresses(self._cache, self._held, sharing.group.services),
            on_host=self._on_host(service),
            sharing=sharing.group.services,
            floats=look.floats,
        )

    def _on_host(self, service: Manifest) -> tuple[Address, ...]:
        """Return where the data plane is called for a Service that asks for the machine's own address; else nothing."""
        wish = balancing.wish_of(service) if balancing.wants_address(service) else None
        if not isinstance(wish, AddressWish) or not self._addresses.is_on_host(wish):
            return ()
        return tuple(self._dataplane.called_by_host)

    def _pool_name(self, service: Manifest, granted: tuple[Address, ...] | Wait) -> str | None:
        if isinstance(granted, Wait) or not granted:
            return None
        wish = balancing.wish_of(service)
        return None if isinstance(wish, Wait) else self._addresses.pool_name(wish, granted)

    def _made_by_hand(self, service: Manifest) -> list[str]:
        """Return what of a Service's endpoints has no effect, in words."""
        namespace, name = key_of(service)
        slices = self._cache.by_index(kinds.ENDPOINT_SLICE, by_hand.BY_HAND, f"{namespace}/{name}")
        vmis = self._cache.in_namespace(kinds.VIRTUAL_MACHINE_INSTANCE, namespace) if slices else ()
        guests = {str(address) for vmi in vmis for address in relations.addresses_on(self._held, vmi)}
        return by_hand.words_of(service, slices, guests)

    async def _write_status(self, service: Manifest, look: _Look, *, refused: str) -> None:
        granted = look.granted
        held = () if isinstance(granted, Wait) else granted
        conditions = conditions_of(
            service,
            granted,
            look.floats,
            matches_nobody=not look.selected and relations.matches_nobody(self._cache, service),
            former=[*filter(self._addresses.is_of_former_network, held)],
            contested={address: who for address in held if (who := self._addresses.contested(address))},
            refused=refused,
            left_out=self._dataplane.why_left_out(service["metadata"]["uid"]),
            without_effect=self._made_by_hand(service),
        )
        if not conditions and not any(condition_of(service, type_) for type_ in OWNED):
            return
        wanted: dict[str, Any] = {
            "conditions": with_conditions(service, conditions, now=time.time(), owned=OWNED) or None
        }
        shown = tuple(map(str, held))
        if shown != fields.load_balancer_addresses(service):
            wanted["loadBalancer"] = {"ingress": [{"ip": address} for address in shown]}
        changes: dict[str, Any] = {"status": merge_patch(fields.status_of(service), wanted, partial=True)}
        # In the same write: nobody shall take an address of the old pool for one of the new.
        pool = self._pool_name(service, granted)
        if fields.annotations_of(service).get(names.METALLB_ALLOCATED_FROM) != pool:
            changes["metadata"] = {"annotations": {names.METALLB_ALLOCATED_FROM: pool}}
        if changes["status"] or len(changes) > 1:
            await self._writer.patch(kinds.SERVICE, service, changes, subresource="status")
