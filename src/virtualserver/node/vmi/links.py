"""The links of a VMI's NICs: which addresses each has, and whether its guest took them."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.fabric.desired import names as device_names
from virtualserver.fabric.desired.state import Address, DhcpLease, GuestLink, Link, Resolver, VpcLink
from virtualserver.host import resolv_conf
from virtualserver.kube import kinds
from virtualserver.kube.objects import key_of
from virtualserver.node.allocation.allocations import Claimant
from virtualserver.node.networks.definition import DEFAULT_MTU, DefinitionError, mtu_of
from virtualserver.node.objects import addresses_of, attached_service
from virtualserver.node.ownership import is_leaving, living_owners, server_of
from virtualserver.node.services import balancing
from virtualserver.node.vmi import macs, resolver
from virtualserver.node.waits import FORMER_GUEST_STOPS, Wait
from virtualserver.plan.ownership import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from virtualserver.api.mac import MacKey
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Manifest
    from virtualserver.machines.spec import Nic
    from virtualserver.node.allocation.addresses import Addresses
    from virtualserver.node.allocation.nics import Nics
    from virtualserver.node.queues import Queues
    from virtualserver.node.services.controller import ServiceController
    from virtualserver.node.vmi.specification import NicWish

__all__ = [
    "NETWORK_NOT_SUPPORTED",
    "WAITING_FOR_NETWORK",
    "Links",
    "claimant_of",
    "group_of",
    "guest_link",
    "has_taken",
]

_logger = logging.getLogger(__name__)
_CLOCK_SLACK_SECONDS: Final = 1.0

WAITING_FOR_NETWORK: Final = "WaitingForNetwork"
NETWORK_NOT_SUPPORTED: Final = "NetworkNotSupported"
"""Reasons of a wait for a NetworkAttachmentDefinition: it is not there, or asks for what is not carried out."""

_FORMER_SECONDS: Final = 1.0
"""How often is looked whether a guest has ended that nothing asks for any more."""
_EVERYBODY: Final = 1
"""The group of all guests where namespaces are open to each other."""
_MOVE_SECONDS: Final = 0.2
"""How long the data plane takes to give an address up, with plenty to spare."""


class Links:
    """Says what link each NIC of a VMI has; makes none."""

    def __init__(
        self,
        cache: Cache,
        queues: Queues,
        addresses: Addresses,
        nics: Nics,
        services: ServiceController,
        mac_key: MacKey,
        *,
        is_closed: Callable[[], bool],
    ) -> None:
        """Name what it asks.

        Args:
            cache: What the API has.
            queues: A Service is looked at whose address is to move to a guest.
            addresses: Grants guests' own addresses.
            nics: Gives MACs, taps and user numbers.
            services: Grants load balancer addresses.
            mac_key: From which MAC addresses follow that nobody chose.
            is_closed: Whether guests of other namespaces are kept from guests' own addresses, as the site says now.
        """
        self._cache = cache
        self._queues = queues
        self._addresses = addresses
        self._nics = nics
        self._services = services
        self._mac_key = mac_key
        self._is_closed = is_closed

    def of(self, vmi: Manifest, nics: tuple[NicWish, ...], *, owner: str) -> Mapping[str, Link] | Wait:
        """Return the links of a VMI that starts by the NIC's name, in the order of its wish, or what it waits for.

        Args:
            vmi: The VMI.
            nics: The NICs that it asks for.
            owner: On whose behalf it starts.
        """
        links: dict[str, Link] = {}
        self._nics.keep_vpcs(owner, {nic.vpc for nic in nics if nic.vpc})
        for nic in nics:
            link = self._vpc_link(vmi, nic, nic.vpc, owner) if nic.vpc else self._cluster_link(vmi, nic, owner)
            if isinstance(link, Wait):
                return link
            links[nic.name] = link
        return links

    def of_running(self, vmi: Manifest, nics: Iterable[tuple[str, Nic]], *, user: int) -> Mapping[str, Link]:
        """Return the links of a VMI whose machine runs by the NIC's name, whatever became of its owners since.

        Its tap says on whose behalf it was started, and the allocations what it was given then. What the API says now
        is not asked: its owner may be gone, and anybody may have written its annotations.

        Args:
            vmi: The VMI.
            nics: Its NICs' names, each with what the machine was started with.
            user: Who may open the taps.
        """
        links: dict[str, Link] = {}
        for name, nic in nics:
            owner = self._nics.owner_of_tap(nic.device)
            if owner is None or self._is_anothers(owner, vmi):
                _logger.error("%s/%s: tap %s was not made for it: it gets no link", *key_of(vmi), nic.device)
                continue
            if vpc := self._nics.vpc_of_tap(nic.device):
                bridge = self.bridge_of(vmi["metadata"]["namespace"], vpc)
                links[name] = VpcLink(nic.device, nic.mac, user, bridge, nic.mtu or DEFAULT_MTU)
                continue
            addresses, is_attached = self._recorded(vmi, owner)
            if addresses:
                links[name] = self._link(
                    vmi, device=nic.device, mac=nic.mac, user=user, addresses=addresses, is_attached=is_attached
                )
        return links

    def network_differs(self, vmi: Manifest, links: Iterable[Link]) -> str:
        """Return in what the VPCs of a running VMI's links differ from what they were at its start; ``""``: in nothing.

        A definition that is deleted takes no network away, and one that is changed changes none that is in use.
        """
        told = (self._differs(vmi, link) for link in links if isinstance(link, VpcLink))
        return "; ".join(filter(None, told))

    def _differs(self, vmi: Manifest, link: VpcLink) -> str:
        namespace, vpc = vmi["metadata"]["namespace"], self._nics.vpc_of_tap(link.device)
        name = f"VPC {vpc}: NetworkAttachmentDefinition {namespace}/{vpc}"
        definition = self._cache.get(kinds.NETWORK_ATTACHMENT_DEFINITION, (namespace, str(vpc)))
        if definition is None:
            return (
                f"{name} was deleted: the network is there until the machine stops, and cannot be joined before a "
                "definition of that name is created again"
            )
        try:
            mtu = mtu_of(definition)
        except DefinitionError as error:
            return f"{name} is not carried out as it is now, which the next start waits for: {error}"
        return "" if mtu == link.mtu else f"{name}: MTU {mtu} instead of {link.mtu} from the next start on"

    def bridge_of(self, namespace: str, vpc: str) -> str:
        """Return the name of the bridge of a VPC."""
        return f"{device_names.BRIDGE_PREFIX}{self._mac_key.bridge_of(namespace, vpc)}"

    def regrouped(self, link: Link, namespace: str) -> Link:
        """Return a link as it is in the group, and of the tenant, that a namespace is now; VPCs know none."""
        if isinstance(link, VpcLink):
            return link
        group, tenant = group_of(namespace, is_closed=self._is_closed()), group_of(namespace, is_closed=True)
        return dataclasses.replace(link, group=group, tenant=tenant)

    def as_now(self, link: Link, vmi: Manifest) -> Link:
        """Return the link of a guest that runs as it is to be now: of its group, and with the name servers of now."""
        now = self.regrouped(link, vmi["metadata"]["namespace"])
        return dataclasses.replace(now, resolver=self.resolver(vmi)) if isinstance(now, GuestLink) else now

    def _is_anothers(self, owner: str, vmi: Manifest) -> bool:
        """Return whether an owner is a living server whose machine this VMI is not, as it could be once."""
        servers = self._cache.all(VIRTUAL_SERVER)
        return any(server["metadata"]["uid"] == owner and key_of(server) != key_of(vmi) for server in servers)

    def _recorded(self, vmi: Manifest, owner: str) -> tuple[tuple[Address, ...], bool]:
        """Return the addresses that a running VMI was given, and whether they are load balancer addresses."""
        attached = self._addresses.attached(owner)
        shown, namespace = addresses_of(vmi), vmi["metadata"]["namespace"]
        if not attached and attached_service(vmi) and not self._addresses.records_attachments:
            # The program before recorded no attachment: this once the status says it, and the group whose the address
            # is, proves that it is one of this namespace.
            groups = {self._addresses.group_of(address) for address in shown}
            services = self._cache.in_namespace(kinds.SERVICE, namespace)
            own = {balancing.group_of(service) for service in services}
            if shown and all(group and (group in own or group.startswith(f"{namespace}/")) for group in groups):
                attached = () if self._addresses.attach(owner, shown) else shown
        return (attached, True) if attached else (self._addresses.recorded_guest(owner), False)

    def _vpc_link(self, vmi: Manifest, nic: NicWish, vpc: str, owner: str) -> VpcLink | Wait:
        namespace = vmi["metadata"]["namespace"]
        definition = self._cache.get(kinds.NETWORK_ATTACHMENT_DEFINITION, (namespace, vpc))
        if definition is None:
            return Wait(
                WAITING_FOR_NETWORK,
                f"VPC {vpc}: there is no NetworkAttachmentDefinition {namespace}/{vpc}: kubectl apply one, and it goes "
                "on",
            )
        try:
            mtu = mtu_of(definition)
        except DefinitionError as error:
            return Wait(NETWORK_NOT_SUPPORTED, f"VPC {vpc}: NetworkAttachmentDefinition {namespace}/{vpc}: {error}")
        claimant = claimant_of(vmi)
        user = self._nics.user(owner, claimant)
        if isinstance(user, Wait):
            return user
        mac = self._mac(vmi, nic, owner, claimant)
        if isinstance(mac, Wait):
            return mac
        device = self._nics.tap(owner, vpc=vpc)
        return VpcLink(device, mac, user, self.bridge_of(namespace, vpc), mtu)

    def _cluster_link(self, vmi: Manifest, nic: NicWish, owner: str) -> Link | Wait:
        claimant = claimant_of(vmi)
        user = self._nics.user(owner, claimant)
        if isinstance(user, Wait):
            return user
        mac = self._mac(vmi, nic, owner, claimant)
        if isinstance(mac, Wait):
            return mac
        attached = attached_service(vmi)
        if not attached:
            self._addresses.detach(owner)
        addresses = self._attached(vmi, attached, owner) if attached else self._addresses.guest(owner, claimant)
        if isinstance(addresses, Wait):
            return addresses
        return self._link(
            vmi,
            device=self._nics.tap(owner),
            mac=mac,
            user=user,
            addresses=addresses,
            is_attached=attached is not None,
        )

    def _mac(self, vmi: Manifest, nic: NicWish, owner: str, claimant: Claimant) -> str | Wait:
        """Return the MAC of a NIC, recorded, unless somebody else has it, or asked for it before."""
        derived = self._mac_key.of_vpc(*key_of(vmi), nic.vpc) if nic.vpc else self._mac_key.of_machine(owner)
        mac = nic.mac or derived
        rival = None if self._nics.has_mac(owner, mac, vpc=nic.vpc) else macs.older_claim(self._cache, vmi, mac, owner)
        if rival is None:
            holder = self._nics.holder_of_mac(mac)
            if holder is not None and holder.owner not in {owner, *living_owners(self._cache)}:
                return _of_former(mac, holder.named_to(claimant, "server"))
            return self._nics.mac(owner, mac, claimant, vpc=nic.vpc)
        namespace, name = key_of(rival)
        is_near = namespace == vmi["metadata"]["namespace"]
        whose = f"{rival['kind']} {name}" if is_near else "a server of another namespace"
        if is_leaving(self._cache, rival):
            return _of_former(mac, whose)
        return Wait(
            "MACAddressTaken", f"MAC address {mac} is in use by {whose}: choose another macAddress, or leave it out"
        )

    def _link(
        self, vmi: Manifest, *, device: str, mac: str, user: int, addresses: tuple[Address, ...], is_attached: bool
    ) -> Link:
        namespace = vmi["metadata"]["namespace"]
        link = guest_link(
            vmi,
            device=device,
            mac=mac,
            user=user,
            addresses=addresses,
            is_attached=is_attached,
            resolver=self.resolver(vmi),
        )
        return self.regrouped(link, namespace)

    def _attached(self, vmi: Manifest, name: str, owner: str) -> tuple[Address, ...] | Wait:
        """Return the addresses of a load balancer Service as a NIC's own, recorded as such, or why they cannot be."""
        key = vmi["metadata"]["namespace"], name
        service = self._cache.get(kinds.SERVICE, key)
        if service is not None and server_of(self._cache, service) != server_of(self._cache, vmi):
            return Wait(
                "AddressInUse",
                f"Service {key[0]}/{key[1]} and this machine do not belong to the same VirtualServer: attach a Service "
                "of this machine's own",
            )
        granted = self._services.granted(key)
        if isinstance(granted, Wait):
            return Wait("WaitingForAddress", granted.message)
        if name_of_server := self._services.floats_to_another(key, vmi):
            return Wait(
                "AddressInUse",
                f"Service {key[0]}/{key[1]}: its address is a floating one of VirtualServer {name_of_server}: attach "
                "another Service; this goes on by itself as soon as that server does not name it any more",
            )
        # The data plane must stop to answer for the address before the guest does.
        if announcing := self._services.announcing(granted):
            for service_key in announcing:
                self._queues.services.add(service_key)
            message = f"{', '.join(map(str, granted))} is about to move to the guest"
            return Wait("WaitingForAddress", message, retry_seconds=_MOVE_SECONDS)
        return self._addresses.attach(owner, granted) or granted

    def resolver(self, vmi: Manifest) -> Resolver:
        """Return what the guest of a VMI is to be told about names, as this host asks now."""
        return resolver.resolver_of(vmi["spec"], namespace=vmi["metadata"]["namespace"], host=resolv_conf.read())


def _of_former(mac: str, whose: str) -> Wait:
    """Return the wait for a MAC address whose owner goes, or is gone, and whose guest still ends."""
    message = f"{whose}, which was deleted, has MAC address {mac} until its guest has ended: this goes on then"
    return Wait(FORMER_GUEST_STOPS, message, retry_seconds=_FORMER_SECONDS)


def group_of(namespace: str, *, is_closed: bool) -> int:
    """Return the group of a namespace's guests: one for all of them, or one of its own; pure.

    It is the same on every start, without a record. Of 10,000 namespaces two have one number with a chance of 1 %, and
    who may make namespaces may open anything.
    """
    if not is_closed:
        return _EVERYBODY
    number = int.from_bytes(hashlib.sha256(namespace.encode()).digest()[:4], "big")
    return max(number, _EVERYBODY + 1)


def guest_link(
    vmi: Manifest,
    *,
    device: str,
    mac: str,
    user: int,
    addresses: tuple[Address, ...],
    is_attached: bool,
    resolver: Resolver,
) -> GuestLink:
    """Return the link of a VMI's cluster NIC: pure.

    Args:
        vmi: The VMI.
        device: Its tap.
        mac: Its MAC.
        user: Who may open the tap.
        addresses: The NIC's addresses.
        is_attached: True where they are load balancer addresses, which are not translated.
        resolver: What the guest is told about names.
    """
    hostname = _first_label(vmi["spec"].get("hostname") or "")
    if not names.DNS_LABEL.fullmatch(hostname):  # refused before a start, but not of a machine that runs
        hostname = _first_label(vmi["metadata"]["name"])
    return GuestLink(
        device=device,
        mac=mac,
        addresses=addresses,
        hostname=hostname,
        resolver=resolver,
        user=user,
        translated=not is_attached,
    )


def claimant_of(vmi: Manifest) -> Claimant:
    """Return whom a VMI's numbers, MACs and addresses are recorded to be for, in words."""
    namespace, name = key_of(vmi)
    return Claimant(namespace, f"VirtualMachine {name}")


def _first_label(name: str) -> str:
    return name.partition(".")[0][:63]


def has_taken(link: GuestLink, leases: Mapping[str, DhcpLease], *, since: float) -> bool:
    """Return whether the guest took its address since a time, in seconds since the epoch: pure."""
    lease = leases.get(link.mac)
    return lease is not None and lease.address in link.addresses and lease.taken >= since - _CLOCK_SLACK_SECONDS
