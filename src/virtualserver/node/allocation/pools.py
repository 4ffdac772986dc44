"""Choosing addresses: pure, no I/O, no Kubernetes."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from virtualserver.fabric.desired.state import Address, Network, Ranges

__all__ = ["Pool", "pool_of", "pools_of"]


@dataclasses.dataclass(frozen=True, slots=True)
class Pool:
    """A named set of addresses.

    Attributes:
        name: Such as ``public`` or ``private-ord1``; ``guest`` for guests' own addresses.
        networks: In the order in which they are used up.
    """

    name: str
    networks: tuple[Network, ...]

    @property
    def families(self) -> tuple[int, ...]:
        """The families that the pool has, 4 before 6."""
        return tuple(sorted({network.version for network in self.networks}))

    def addresses(self, family: int) -> Iterator[Address]:
        """Yield the addresses that may be given, in order: never a network's own or its broadcast address.

        Args:
            family: 4 or 6.
        """
        for network in self.networks:
            if network.version == family:
                yield from network.hosts()

    def size(self, family: int) -> int:
        """Return how many addresses of a family may be given."""
        total = 0
        for network in self.networks:
            if network.version == family:
                spare = network.max_prefixlen - network.prefixlen
                reserved = 0 if spare < 2 else (2 if family == 4 else 1)
                total += network.num_addresses - reserved
        return total

    def has(self, address: Address) -> bool:
        """Return whether an address is one that the pool may give."""
        for network in self.networks:
            if network.version == address.version and address in network:
                if network.max_prefixlen - network.prefixlen < 2:
                    return True
                if address == network.network_address:
                    return False
                return address.version == 6 or address != network.broadcast_address
        return False

    def first_free(self, family: int, used: Collection[str]) -> Address | None:
        """Return the first address that is not in use, None where the pool is exhausted.

        Args:
            family: 4 or 6.
            used: Addresses in their normal text form.
        """
        for address in self.addresses(family):
            if str(address) not in used:
                return address
        return None

    def used(self, used: Collection[str]) -> int:
        """Return how many of the pool's addresses are in use."""
        return sum(1 for text in used if self.has(ipaddress.ip_address(text)))


def pools_of(ranges: Ranges) -> dict[str, Pool]:
    """Return the load balancer pools of an installation by name."""
    return {name: Pool(name, networks) for name, networks in {**ranges.public, **ranges.private}.items()}


def pool_of(address: Address, pools: Collection[Pool]) -> Pool | None:
    """Return the pool that an address belongs to, None where no pool may give it."""
    return next((pool for pool in pools if pool.has(address)), None)
