"""``virtualservers/path``: the way of packets to one server, looked at where it can be, and its own guest asked.

A connection is tried to the address of the server's own link alone, which the node gave, and to ports that Services
lead to it: nothing that a user writes names an address. A look takes less than two seconds; who asks while one at the
same server is under way gets that one's answer.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import functools
import itertools
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from aiohttp import web

from virtualserver.api import names
from virtualserver.api.network_path import AddressPath, Answer, Card, Element, Guest, NetworkPath, PortPath, encode
from virtualserver.fabric.desired.state import CLUSTER_NIC, GuestLink
from virtualserver.fabric.refusals import REFUSALS
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import is_true
from virtualserver.kube.objects import key_of
from virtualserver.kube.times import timestamp
from virtualserver.node.objects import attached_service, vpc_of
from virtualserver.node.ownership import server_of
from virtualserver.node.served import answers, asking, losses, seen
from virtualserver.node.services import balancing, floating, relations
from virtualserver.plan.ownership import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from virtualserver.fabric.dataplane import DataPlane
    from virtualserver.fabric.desired import state
    from virtualserver.fabric.desired.ledger import Entry
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Manifest
    from virtualserver.machines.ends import MachineState
    from virtualserver.node.held import Held
    from virtualserver.node.services.controller import ServiceController

__all__ = ["Paths"]

_MOST_OF_A_NAMESPACE: Final = 8
"""So many servers of a namespace are looked at at once."""
_MOST_SERVICES: Final = 32
"""So many of the Services that lead to one guest are looked at."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Sight:
    """What one look at a server found.

    Attributes:
        server: Whom commands name.
        machine: What was seen of its machine.
        card: Of its card on the cluster network; None where it has none, or does not run.
        own: The addresses of that card.
        answers: What its ports said, by their number.
        absent: What the kernel does not have, by the UID of the Service.
    """

    server: losses.Server
    machine: losses.MachineSeen
    card: losses.CardSeen | None
    own: tuple[state.Address, ...]
    answers: Mapping[int, Answer]
    absent: Mapping[str, frozenset[Entry]]


class Paths:
    """Looks at the ways to servers."""

    def __init__(self, cache: Cache, held: Held, services: ServiceController, dataplane: DataPlane) -> None:
        """Name where it looks.

        Args:
            cache: What the API has.
            held: Machines and links.
            services: What of each Service is in the data plane.
            dataplane: The kernel, and the way to guests.
        """
        self._cache = cache
        self._held = held
        self._services = services
        self._dataplane = dataplane
        self._looks: dict[str, asyncio.Task[NetworkPath]] = {}
        self._counts: collections.Counter[str] = collections.Counter()

    async def serve(self, request: web.Request) -> web.Response:
        """Answer with the path of the server that a request names.

        Raises:
            HTTPNotFound: There is no such server.
            HTTPTooManyRequests: As many servers of the namespace as may be are being looked at.
            HTTPServiceUnavailable: The kernel does not answer now.
        """
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        server = self._cache.get(VIRTUAL_SERVER, (namespace, name))
        if server is None:
            message = f'{names.PLURAL}.{names.GROUP} "{name}" not found'
            raise answers.refusal(web.HTTPNotFound, "NotFound", message)
        try:
            path = await self._look_once(server)
        except REFUSALS as error:
            message = f"the data plane cannot be looked at now: {error}: ask again"
            raise answers.refusal(web.HTTPServiceUnavailable, "ServiceUnavailable", message) from None
        head = {"kind": "NetworkPath", "apiVersion": f"{names.NETWORK_GROUP}/{names.VERSION}"}
        return answers.content({**head, "metadata": {"name": name, "namespace": namespace}, "status": encode(path)})

    async def _look_once(self, server: Manifest) -> NetworkPath:
        uid, namespace = server["metadata"]["uid"], server["metadata"]["namespace"]
        task = self._looks.get(uid)
        if task is None:
            if self._counts[namespace] >= _MOST_OF_A_NAMESPACE:
                message = f"{_MOST_OF_A_NAMESPACE} servers of namespace {namespace} are being looked at: ask again"
                raise answers.refusal(web.HTTPTooManyRequests, "TooManyRequests", message)
            self._counts[namespace] += 1
            task = self._looks[uid] = asyncio.create_task(self._look(server), name=f"path {namespace}")
            task.add_done_callback(functools.partial(self._end, uid, namespace))
        return await asyncio.shield(task)

    def _end(self, uid: str, namespace: str, _: asyncio.Task[NetworkPath]) -> None:
        del self._looks[uid]
        self._counts[namespace] -= 1
        if not self._counts[namespace]:
            del self._counts[namespace]

    # One look ---------------------------------------------------------------------------------------------------------

    async def _look(self, server: Manifest) -> NetworkPath:
        vmi = floating.guest_of(self._cache, server)
        machine = self._held.machine(vmi["metadata"]["uid"]) if vmi is not None else None
        services = self._services_of(server, vmi)
        sight, cards = await self._see(server, vmi, machine.state if machine else None, services)
        addresses = tuple(self._addresses(server, services, sight))
        lost = [loss for one in addresses for loss in (one.loss, *(port.loss for port in one.ports)) if loss]
        lost += filter(None, (losses.of_machine(sight.server, sight.machine), *(card.loss for card in cards)))
        namespace, name = key_of(server)
        own = [one for one in services if server_of(self._cache, one) == server["metadata"]["uid"]]
        told = sight.machine.stands_still or ("the guest is paused" if sight.machine.paused else sight.machine.message)
        return NetworkPath(
            namespace=namespace,
            name=name,
            addresses=addresses,
            names=tuple(f"{one['metadata']['name']}.{namespace}.svc.cluster.local" for one in own),
            guest=Guest(runs=sight.machine.runs and not sight.machine.paused, message=told, cards=cards),
            loss=next(iter(lost), None),
        )

    def _services_of(self, server: Manifest, vmi: Manifest | None) -> list[Manifest]:
        """Return the Services by which a server is reached: its own, then those that lead to its guest, or are claimed.

        No more than a look has the time for.
        """
        uid = server["metadata"]["uid"]
        owned = self._cache.by_index(kinds.SERVICE, "owner", uid)
        keys = [key_of(one) for one in owned if server_of(self._cache, one) == uid]
        keys += relations.services_of(self._cache, vmi) if vmi is not None else floating.claimed_by(self._cache, uid)
        found = (self._cache.get(kinds.SERVICE, key) for key in dict.fromkeys(keys))
        concerning = (one for one in found if one is not None and self._concerns(one, server, vmi))
        return sorted(itertools.islice(concerning, _MOST_SERVICES), key=key_of)

    def _concerns(self, service: Manifest, server: Manifest, vmi: Manifest | None) -> bool:
        """Return whether a Service is the server's own, is claimed by it, or leads to its guest and no other's."""
        uid = server["metadata"]["uid"]
        if server_of(self._cache, service) == uid or self._is_claimed(service, server):
            return True
        return vmi is not None and relations.leads_to(self._cache, service, vmi)

    def _is_claimed(self, service: Manifest, server: Manifest) -> bool:
        addresses = fields.load_balancer_addresses(service)
        claimant = floating.claimant(self._cache, service, [ip_address(one) for one in addresses])
        return claimant is not None and claimant["metadata"]["uid"] == server["metadata"]["uid"]

    async def _see(
        self, server: Manifest, vmi: Manifest | None, machine: MachineState | None, services: list[Manifest]
    ) -> tuple[_Sight, tuple[Card, ...]]:
        """Look at the kernel and at the guest."""
        whom = losses.Server(*key_of(server))
        saw = seen.machine_seen(self._cache.get(kinds.VIRTUAL_MACHINE, key_of(server)), vmi, machine)
        absent = await self._dataplane.absent([service["metadata"]["uid"] for service in services])
        if vmi is None or not saw.runs:
            return _Sight(whom, saw, None, (), {}, absent), ()
        uid = vmi["metadata"]["uid"]
        link = self._held.cluster_link(uid)
        taps = [one.device for one in self._held.links_of(uid).values()]
        before = await self._dataplane.dropped(taps)
        replies, heard = dict[int, Answer](), dict["state.Address", str]()
        if link is not None and not saw.paused:
            replies, heard = await self._ask(link, _tcp_targets(services))
        after = await self._dataplane.dropped(taps)
        card = None
        if link is not None:
            was, now = (one.get(link.device, {}) for one in (before, after))
            grown = {reason: more for reason, packets in now.items() if (more := packets - was.get(reason, 0)) > 0}
            card = await self._card_seen(vmi, link, heard, grown)
        cards = [one async for one in self._cards(whom, vmi, saw, card, after)]
        own = link.addresses if link is not None else ()
        return _Sight(whom, saw, card, own, replies, absent), tuple(cards)

    async def _ask(self, link: GuestLink, ports: set[int]) -> tuple[dict[int, Answer], dict[state.Address, str]]:
        """Try the guest's ports, and whether it answers for its address."""
        replies, heard = await asyncio.gather(
            asking.ask(self._dataplane.open_socket, link.addresses[0], ports), self._dataplane.heard(link)
        )
        return replies, heard or {}

    async def _card_seen(
        self, vmi: Manifest, link: GuestLink, heard: Mapping[state.Address, str], grown: Mapping[str, int]
    ) -> losses.CardSeen:
        uid = vmi["metadata"]["uid"]
        nic = next((nic for nic, one in self._held.links_of(uid).items() if one is link), CLUSTER_NIC)
        refused, missing = await self._harm(uid, nic, link)
        return losses.CardSeen(
            mac=link.mac,
            refused=refused,
            missing=missing,
            bounded=self._dataplane.has_met_bound(link),
            taken=is_true(vmi, names.ADDRESS_TAKEN),
            heard=heard.get(link.addresses[0], ""),
            grown=grown,
        )

    async def _harm(self, uid: str, nic: str, link: state.Link) -> tuple[str, tuple[str, ...]]:
        """Return why a card is not carried, ``""`` where it is, and the kinds of what the kernel lacks of it."""
        refused = self._dataplane.why_left_out(uid, nic=nic) or self._dataplane.cut_off(link.device)
        return refused, tuple(sorted({entry.kind for entry in await self._dataplane.absent_of_nic(uid, nic)}))

    async def _cards(
        self,
        whom: losses.Server,
        vmi: Manifest,
        machine: losses.MachineSeen,
        cluster: losses.CardSeen | None,
        dropped: Mapping[str, dict[str, int]],
    ) -> AsyncIterator[Card]:
        uid = vmi["metadata"]["uid"]
        vpcs = {str(one.get("name")): vpc_of(one) or "" for one in fields.items(vmi, "spec", "networks")}
        leases = await self._dataplane.leases()
        for nic, link in self._held.links_of(uid).items():
            lease = leases.get(link.mac)
            card = Card(
                name=nic,
                network="" if isinstance(link, GuestLink) else vpcs.get(nic, ""),
                mac=link.mac,
                whole=True,
                lease=timestamp(lease.taken) if lease else "",
                heard="",
                dropped=dropped.get(link.device, {}),
            )
            if isinstance(link, GuestLink) and cluster is not None:
                whole = not cluster.refused and not cluster.missing
                loss = None if machine.paused else losses.of_card(whom, cluster)
                yield dataclasses.replace(card, whole=whole, heard=cluster.heard, loss=loss)
            else:
                refused, missing = await self._harm(uid, nic, link)
                whole = not refused and not missing
                yield dataclasses.replace(card, whole=whole, loss=losses.of_vpc_card(whom, refused, missing))

    # What it comes to -------------------------------------------------------------------------------------------------

    def _addresses(self, server: Manifest, services: list[Manifest], sight: _Sight) -> Iterator[AddressPath]:
        """Yield the addresses of load balancers first, then the guest's own."""
        for service in services:
            if balancing.wants_address(service):
                for text in fields.load_balancer_addresses(service) or ("",):
                    yield self._address(server, service, text, sight)
        for address in sight.own:
            if not self._is_balancer(services, address):
                element = _element_of_card(sight)
                loss = losses.of_address(sight.server, losses.ServiceSeen(), sight.machine, sight.card, element)
                yield AddressPath(str(address), "own", "", "", None, element, loss=loss)

    @staticmethod
    def _is_balancer(services: list[Manifest], address: state.Address) -> bool:
        return any(str(address) in fields.load_balancer_addresses(service) for service in services)

    def _address(self, server: Manifest, service: Manifest, text: str, sight: _Sight) -> AddressPath:
        uid = service["metadata"]["uid"]
        left_out = self._dataplane.why_left_out(uid)
        kind, saw = self._kind(server, service, text, sight), seen.service_seen(service, left_out=left_out)
        rules, absent = self._services.applied(uid), sight.absent.get(uid, frozenset())
        element, ports = Element.NONE, tuple[PortPath, ...]()
        if kind == "attached":
            element = _element_of_card(sight)
        elif kind == "floating" and text:
            address = ip_address(text)
            element = seen.floating_element_of(rules, absent, address=address, own=sight.own)
        elif kind == "ports":
            ports = tuple(self._ports(service, saw, text, sight))
        loss = None
        if kind != "ports" or saw.waits:
            loss = losses.of_address(sight.server, saw, sight.machine, sight.card, element)
        pool = fields.annotations_of(service).get(names.METALLB_ALLOCATED_FROM, "")
        return AddressPath(text, kind, key_of(service)[1], pool, seen.sources_of(service), element, ports, loss)

    def _kind(self, server: Manifest, service: Manifest, text: str, sight: _Sight) -> str:
        vm = self._cache.get(kinds.VIRTUAL_MACHINE, key_of(server)) or {}
        asks = attached_service(fields.mapping(vm, "spec", "template")) == service["metadata"]["name"]
        if text in map(str, sight.own) or (asks and not sight.own):
            return "attached"
        is_floating = not fields.mapping(service, "spec", "selector") and self._is_claimed(service, server)
        return "floating" if is_floating else "ports"

    def _ports(self, service: Manifest, saw: losses.ServiceSeen, text: str, sight: _Sight) -> Iterator[PortPath]:
        uid, pool = service["metadata"]["uid"], fields.annotations_of(service).get(names.METALLB_ALLOCATED_FROM)
        on_host = pool in self._dataplane.ranges.host
        fronts = self._dataplane.called_by_host if on_host else tuple(ip_address(one) for one in (text,) if one)
        rules, absent = self._services.applied(uid), sight.absent.get(uid, frozenset())
        ports = fields.items(service, "spec", "ports")
        elements = seen.elements_of(rules, absent, fronts=fronts, ports=ports, own=sight.own)
        for port, element in zip(ports, elements, strict=True):
            protocol, target = str(port.get("protocol") or "TCP"), seen.target_of(port)
            answer = sight.answers.get(target, Answer.NOT_ASKED) if protocol == "TCP" else Answer.NOT_ASKED
            loss = losses.of_port(sight.server, saw, sight.machine, sight.card, element, answer)
            yield PortPath(int(port["port"]), protocol, target, element, answer, loss)


def _element_of_card(sight: _Sight) -> Element:
    """Return what the kernel has of an address that is a card's own, which needs no map."""
    if sight.card is None:
        return Element.NONE
    return Element.MISSING if sight.card.missing else Element.OPEN


def _tcp_targets(services: list[Manifest]) -> set[int]:
    """Return the guest's TCP ports that Services lead to."""
    ports = (
        port
        for service in services
        if fields.mapping(service, "spec", "selector")
        for port in fields.items(service, "spec", "ports")
    )
    return {target for port in ports if port.get("protocol", "TCP") == "TCP" and (target := seen.target_of(port))}
