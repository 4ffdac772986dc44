"""A guest's link to the cluster network: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.fabric.desired.state import Address, GuestLink, Lease, Resolver

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest

__all__ = ["guest_link", "has_taken"]

_CLOCK_SLACK_SECONDS = 1.0


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
    """Return the link of a VMI's cluster NIC.

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


def has_taken(link: GuestLink, leases: dict[str, Lease], *, since: float) -> bool:
    """Return whether the guest took its address since a time, in seconds since the epoch."""
    lease = leases.get(link.mac)
    return lease is not None and lease.address in link.addresses and lease.taken >= since - _CLOCK_SLACK_SECONDS
