"""By which links the host reaches the outside, and what is told where they become others."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired.repair import Adjustment
from virtualserver.fabric.kernel.routes import MAIN_TABLE
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from virtualserver.fabric.desired.state import Address

__all__ = ["adjustments", "find", "own_address", "read"]

_OUTSIDE: Final = ip_address("9.9.9.9"), ip_address("193.0.14.129")
"""Addresses of the internet, one in each half of it: a VPN routes the two halves, or has a rule and a table of its own.
Only the kernel is asked about them."""


def find() -> dict[str, int]:
    """Return the MTU of each link by which the host reaches the outside, by its name."""
    with Rtnetlink() as kernel:
        return read(kernel)


def read(kernel: Rtnetlink) -> dict[str, int]:
    """Return the same from an open conversation: links of default routes, and those that packets really leave by."""
    ways = {kernel.way_to(address) for address in _OUTSIDE}
    ways |= {
        route.link
        for route in kernel.routes(4, MAIN_TABLE)
        if route.destination.prefixlen == 0 and route.kind == "unicast"
    }
    return {link.name: link.mtu for link in kernel.links() if link.index in ways and link.name != "lo"}


def own_address(kernel: Rtnetlink) -> Address | None:
    """Return the address by which the host reaches the outside, None where it does not."""
    found = (kernel.source_to(address) for address in _OUTSIDE)
    return next((address for address in found if address is not None and not address.is_loopback), None)


def adjustments(before: Mapping[str, int], after: Mapping[str, int], mtu_before: int, mtu: int) -> Iterator[Adjustment]:
    """Yield what is told of other uplinks and another MTU of guests' links; pure.

    Args:
        before: The uplinks as they were, empty where they were not known yet.
        after: As they are.
        mtu_before: The MTU of guests' links as it was, in bytes.
        mtu: As it is.
    """
    if not before:
        return
    if before.keys() != after.keys():
        now, were = (", ".join(sorted(names)) or "none" for names in (after, before))
        yield Adjustment(f"the host reaches the outside by {now} now, before by {were}")
    if mtu_before != mtu:
        yield Adjustment(
            f"the MTU of guests' links is {mtu} now, before {mtu_before}, as the host's uplinks have it: TCP "
            "connections fit it at once; guests that run are told at their next DHCP lease or start"
        )
