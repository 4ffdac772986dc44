"""Choosing addresses: pure, no I/O, no Kubernetes."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from virtualserver.fabric.desired.state import Address, Network, Ranges
    from virtualserver.node.allocation.allocations import Claimant, Release

__all__ = ["COOL_DOWN_SECONDS", "History", "Pool", "pool_of", "pools_of"]

COOL_DOWN_SECONDS: Final = 300.0
"""How long an address that was given back goes to nobody else, where the pool has another."""


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """Who gave back which address, as whoever asks for one sees it.

    Attributes:
        releases: By address; those in use count not.
        claimant: Who asks.
        now: Seconds since the epoch.
    """

    releases: Mapping[str, Release]
    claimant: Claimant
    now: float

    def is_cooling(self, address: str) -> bool:
        """Return whether somebody gave an address back less than `COOL_DOWN_SECONDS` ago."""
        release = self.releases.get(address)
        return release is not None and 0 <= self.now - release.released < COOL_DOWN_SECONDS

    def ends(self, address: str) -> float:
        """Return when the cool-down of an address that is cooling ends, in seconds since the epoch."""
        return self.releases[address].released + COOL_DOWN_SECONDS


@dataclasses.dataclass(frozen=True, slots=True)
class Pool:
    """A named set of addresses.

    Attributes:
        name: Such as ``public`` or ``private-ord1``; ``guest`` for guests' own addresses.
        networks: In the order in which they are used up.
        former: Networks that it had before: what is held of them stays, and nothing of them is given.
    """

    name: str
    networks: tuple[Network, ...]
    former: tuple[Network, ...] = ()

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

    def was_of(self, address: Address) -> bool:
        """Return whether an address is of a network that the pool had before, and has no more."""
        return not self.has(address) and any(address in network for network in self.former)

    def choose(self, family: int, used: Collection[str], history: History) -> Address | None:
        """Return the address that disturbs nobody: the asker's former one, else the one that was free for longest.

        None where all are in use. An address that somebody else gave back a moment ago is still called by clients that
        mean them, so it comes last; what the asker's own namespace gave back comes before what others did, so that
        nobody wears out the pauses of others by asking again and again.

        Args:
            family: 4 or 6.
            used: Addresses in their normal text form.
            history: Who gave back which.
        """
        own = [one for one in history.releases.items() if one[1].claimant == history.claimant]
        if own := self._free(own, family, used):
            return ipaddress.ip_address(max(own, key=_released)[0])
        for address in self.addresses(family):
            if str(address) not in used and str(address) not in history.releases:
                return address

        def disturbs(one: tuple[str, Release]) -> tuple[bool, bool, float]:
            is_cooling = history.is_cooling(one[0])
            return is_cooling, is_cooling and one[1].claimant.namespace != history.claimant.namespace, _released(one)

        free = self._free(history.releases.items(), family, used)
        return ipaddress.ip_address(min(free, key=disturbs)[0]) if free else None

    def is_calm(self, family: int, used: Collection[str], history: History) -> bool:
        """Return whether the pool has a free address that nobody gave back a moment ago."""
        return any(
            str(address) not in used and not history.is_cooling(str(address)) for address in self.addresses(family)
        )

    def _free(
        self, released: Iterable[tuple[str, Release]], family: int, used: Collection[str]
    ) -> list[tuple[str, Release]]:
        found = [(ipaddress.ip_address(text), text, release) for text, release in released if text not in used]
        return [(text, release) for address, text, release in found if address.version == family and self.has(address)]

    def used(self, used: Iterable[str]) -> int:
        """Return how many of the pool's addresses are in use."""
        return sum(1 for text in used if self.has(ipaddress.ip_address(text)))


def pools_of(ranges: Ranges) -> dict[str, Pool]:
    """Return the load balancer pools of an installation by name."""
    pools = {**ranges.public, **ranges.private}
    return {name: Pool(name, networks, ranges.former.get(name, ())) for name, networks in pools.items()}


def pool_of(address: Address, pools: Collection[Pool]) -> Pool | None:
    """Return the pool that an address belongs to, None where no pool may give it."""
    return next((pool for pool in pools if pool.has(address)), None)


def _released(one: tuple[str, Release]) -> float:
    return one[1].released
