"""Who has which address of each pool, as it is recorded: pure."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TYPE_CHECKING

from virtualserver.node.allocation.allocations import BALANCER
from virtualserver.node.allocation.pools import pools_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from virtualserver.fabric.desired.state import Address, Network, Ranges
    from virtualserver.node.allocation.allocations import Allocation
    from virtualserver.node.allocation.pools import Pool

__all__ = ["Holding", "PoolHoldings", "uses"]


@dataclasses.dataclass(frozen=True, slots=True)
class Holding:
    """An address that somebody holds, or a port of the machine's own.

    Attributes:
        address: The address; ``""`` where it is the machine's own, and that is not known now.
        port: Of the machine's own address, such as ``TCP/443``; ``""`` where it is a whole address.
        namespace: Of the holder; ``""`` where an earlier version of this program wrote it down.
        kind: Of the holder, such as ``Service``, or ``sharing-key``.
        name: Of the holder.
    """

    address: str
    port: str
    namespace: str
    kind: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class PoolHoldings:
    """A pool of load balancer addresses, and what is held of it.

    Attributes:
        name: Such as ``public``.
        networks: Where its addresses come from; none where it is the machine's own address.
        size: How many addresses may be given.
        used: How many of these are held.
        is_host: Whether it is the machine's own address, of which each port is held by itself.
        address: That address; ``""`` where it is none, or is not known now.
        holdings: What is held, in the order of the addresses; also of networks that it had before.
    """

    name: str
    networks: tuple[Network, ...]
    size: int
    used: int
    is_host: bool
    address: str
    holdings: tuple[Holding, ...]

    @property
    def free(self) -> int:
        """How many addresses nobody holds."""
        return self.size - self.used


def uses(ranges: Ranges, allocations: Iterable[Allocation], *, host: Address | None = None) -> list[PoolHoldings]:
    """Return the pools of an installation with who holds what of them, by name.

    Args:
        ranges: The installation's networks.
        allocations: What is recorded.
        host: The machine's own address; None: it is not known now, or no pool is that.
    """
    recorded, own = [one for one in allocations if one.is_balancer], str(host or "")
    return [
        PoolHoldings(
            name=pool.name,
            networks=pool.networks,
            size=sum(pool.size(family) for family in pool.families),
            used=pool.used(one.value for one in recorded if one.kind == "address"),
            is_host=pool.name in ranges.host,
            address=own if pool.name in ranges.host else "",
            holdings=tuple(sorted(_holdings(pool, recorded, own), key=_place)),
        )
        for _, pool in sorted(pools_of(ranges).items())
    ]


def _holdings(pool: Pool, recorded: Iterable[Allocation], own: str) -> Iterator[Holding]:
    for one in recorded:
        kind, _, name = one.claimant.name.partition(" ")
        if one.kind == "address":
            address = ipaddress.ip_address(one.value)
            if pool.has(address) or pool.was_of(address):
                yield Holding(one.value, "", one.claimant.namespace, kind, name)
        elif one.kind == "port" and one.purpose.startswith(f"{BALANCER}{pool.name}/"):
            yield Holding(own, one.value, one.claimant.namespace, kind, name)


def _place(holding: Holding) -> tuple[int, int, str]:
    if holding.port:
        protocol, _, port = holding.port.partition("/")
        return 0, int(port), protocol
    address = ipaddress.ip_address(holding.address)
    return address.version, int(address), ""
