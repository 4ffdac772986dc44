"""Pools on an uplink: an address is given only while it is known that nobody on the link has it. No I/O."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from virtualserver.fabric.desired.state import Address, Ranges
    from virtualserver.node.allocation.allocations import Allocations
    from virtualserver.node.allocation.pools import Pool
    from virtualserver.node.allocation.vacancies import Vacancies

__all__ = ["PROBING", "UplinkPools"]

PROBING: Final = "AddressProbing"
"""Reason of a wait until the link was asked who has an address."""

_AHEAD: Final = 16
"""So many free addresses of each pool are asked for ahead."""
_MOST: Final = 4096
"""So many addresses of a pool are looked at for free ones at a time."""
_HELD_AT_ONCE: Final = 64
_OCCUPIED_SECONDS: Final = 10.0


class UplinkPools:
    """Judges addresses of pools on the uplink by what is known of the link."""

    def __init__(self, allocations: Allocations, vacancies: Vacancies, ranges: Ranges) -> None:
        """Name what it knows from.

        Args:
            allocations: What is held here.
            vacancies: What is held by others on the link.
            ranges: The installation's networks and its uplink.
        """
        self._allocations = allocations
        self._vacancies = vacancies
        self._networks = frozenset(ranges.answered())
        self.link = ranges.uplink

    def has(self, pool: Pool) -> bool:
        """Return whether a pool is on the uplink."""
        return not self._networks.isdisjoint(pool.networks)

    def unusable(self, used: Collection[str]) -> Collection[str]:
        """Return the addresses that may not be given: those in use here, and those not known to be free on the link."""
        return _AllBut(used, self._vacancies)

    def others(self, pool: Pool, family: int, used: Collection[str]) -> list[str] | Wait:
        """Return the addresses of a pool that others on the link have, with their names; or a wait to know of some."""
        free = (address for address in pool.addresses(family) if str(address) not in used)
        occupants = {address: self._vacancies.occupant(address) for address in itertools.islice(free, _MOST)}
        unknown = [address for address, who in occupants.items() if who is None]
        if unknown:
            self._vacancies.ask(unknown[:_AHEAD])
            return self._probing(f"free addresses of pool {pool.name}")
        return [f"{address} ({who})" for address, who in occupants.items()]

    def occupied(self, address: Address) -> Wait | None:
        """Return that somebody on the link has an address, or may have it; None where it is free or of another link."""
        if not self._is_on_link(address):
            return None
        occupant = self._vacancies.occupant(address)
        if occupant is None:
            self._vacancies.ask([address])
            return self._probing(str(address))
        if occupant:
            message = f"{address} belongs to {occupant} on link {self.link}: choose another"
            return Wait("AddressInUse", message, retry_seconds=_OCCUPIED_SECONDS)
        return None

    def contested(self, address: Address) -> str:
        """Return who else answers for an address that is held here, ``""`` where nobody does."""
        return self._vacancies.last_occupant(address)

    def to_probe(self, pools: Iterable[Pool]) -> list[Address]:
        """Return the addresses that the link is to be asked for now: those that come next, and those that are held."""
        used = self._allocations.values("address")
        due = [address for pool in pools if self.has(pool) for address in self._ahead(pool, used)]
        held = filter(self._is_on_link, map(ipaddress.ip_address, used))
        return [*due, *itertools.islice(filter(self._vacancies.is_due, held), _HELD_AT_ONCE)]

    def _ahead(self, pool: Pool, used: Collection[str]) -> Iterator[Address]:
        """Yield the free addresses of a pool that may be given next and are not known well enough."""
        latest = sorted(self._allocations.releases().items(), key=lambda one: -one[1].released)[:_AHEAD]
        former = [address for address in (ipaddress.ip_address(text) for text, _ in latest) if pool.has(address)]
        every = itertools.chain(former, *(pool.addresses(family) for family in pool.families))
        looked_at = dict.fromkeys(itertools.islice(every, _MOST))
        free = (one for one in looked_at if str(one) not in used and not self._vacancies.occupant(one))
        yield from filter(self._vacancies.is_due, itertools.islice(free, _AHEAD))

    def _is_on_link(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def _probing(self, what: str) -> Wait:
        message = f"link {self.link} is being asked whether somebody there has {what}"
        return Wait(PROBING, message, retry_seconds=1.0)


class _AllBut(Collection[str]):
    """The addresses that are not both free here and known to be free on the link."""

    def __init__(self, used: Collection[str], vacancies: Vacancies) -> None:
        self._used = used
        self._vacancies = vacancies

    def __contains__(self, text: object) -> bool:
        return text in self._used or self._vacancies.occupant(ipaddress.ip_address(str(text))) != ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._used)

    def __len__(self) -> int:
        return len(self._used)
