"""The links of a VMI's NICs: which addresses each has, and whether its guest took them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api.mac import derive
from virtualserver.fabric.desired.state import Address, DhcpLease, GuestLink, Resolver
from virtualserver.host import resolv_conf
from virtualserver.node.objects import attached_service
from virtualserver.node.ownership import owner_of
from virtualserver.node.vmi import resolver
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Key, Manifest
    from virtualserver.node.allocation.addresses import Addresses
    from virtualserver.node.queues import Queues
    from virtualserver.node.services.controller import ServiceController
    from virtualserver.node.vmi.specification import NicWish

__all__ = ["Links", "guest_link", "has_taken"]

_CLOCK_SLACK_SECONDS: Final = 1.0

_MOVE_SECONDS: Final = 0.2
"""How long the data plane takes to give an address up, with plenty to spare."""


class Links:
    """Says what link each NIC of a VMI has; makes none."""

    def __init__(self, cache: Cache, queues: Queues, addresses: Addresses, services: ServiceController) -> None:
        """Name what it asks.

        Args:
            cache: What the API has.
            queues: A Service is looked at whose address is to move to a guest.
            addresses: Grants guests' own addresses, MACs, taps and user numbers.
            services: Grants load balancer addresses.
        """
        self._cache = cache
        self._queues = queues
        self._addresses = addresses
        self._services = services

    def of(
        self, vmi: Manifest, nics: tuple[NicWish, ...], *, has: tuple[Address, ...] = ()
    ) -> Mapping[str, GuestLink] | Wait:
        """Return the links of a VMI by the NIC's name, in the order of its wish, or what it waits for.

        Args:
            vmi: The VMI.
            nics: The NICs that it asks for.
            has: The addresses that its cluster NIC was started with, which stay whatever became of its Service since;
                empty: it starts now.
        """
        links: dict[str, GuestLink] = {}
        for nic in nics:
            link = self._cluster_link(vmi, nic, has)
            if isinstance(link, Wait):
                return link
            links[nic.name] = link
        return links

    def _cluster_link(self, vmi: Manifest, nic: NicWish, has: tuple[Address, ...]) -> GuestLink | Wait:
        owner, namespace = owner_of(self._cache, vmi), vmi["metadata"]["namespace"]
        user = self._addresses.user(owner)
        if isinstance(user, Wait):
            return user
        mac = self._addresses.mac(owner, nic.mac or derive(owner))
        if isinstance(mac, Wait):
            return mac
        attached = attached_service(vmi)
        addresses = has or (self._attached((namespace, attached)) if attached else self._addresses.guest(owner))
        if isinstance(addresses, Wait):
            return addresses
        return guest_link(
            vmi,
            device=self._addresses.tap(owner),
            mac=mac,
            user=user,
            addresses=addresses,
            is_attached=attached is not None,
            resolver=resolver.resolver_of(vmi["spec"], namespace=namespace, host=resolv_conf.read()),
        )

    def _attached(self, key: Key) -> tuple[Address, ...] | Wait:
        granted = self._services.granted(key)
        if isinstance(granted, Wait):
            return Wait("WaitingForAddress", granted.message)
        # The data plane must stop to answer for the address before the guest does.
        if self._services.is_announced(granted):
            self._queues.services.add(key)
            message = f"{', '.join(map(str, granted))} is about to move to the guest"
            return Wait("WaitingForAddress", message, retry_seconds=_MOVE_SECONDS)
        return granted


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
    hostname = vmi["spec"].get("hostname") or vmi["metadata"]["name"]
    return GuestLink(
        device=device,
        mac=mac,
        addresses=addresses,
        hostname=hostname.partition(".")[0][:63],
        resolver=resolver,
        user=user,
        translated=not is_attached,
    )


def has_taken(link: GuestLink, leases: Mapping[str, DhcpLease], *, since: float) -> bool:
    """Return whether the guest took its address since a time, in seconds since the epoch: pure."""
    lease = leases.get(link.mac)
    return lease is not None and lease.address in link.addresses and lease.taken >= since - _CLOCK_SLACK_SECONDS
