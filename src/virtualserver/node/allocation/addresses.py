"""Granting addresses, taps and user numbers: the choice of `pools` and `balancing`, recorded in `claims`.

Who owns what: a guest's own address, tap and user number belong to the VirtualServer (else to the VirtualMachine), so
that they stay when the machine is made anew; a load balancer address belongs to the Services that share it.
"""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Final

from virtualserver.node.allocation import pools
from virtualserver.node.allocation.allocations import Claim, Claims, Kind, Taken
from virtualserver.node.services import balancing
from virtualserver.node.services.balancing import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from virtualserver.fabric.desired.state import Address, Ranges
    from virtualserver.kube.objects import Manifest

__all__ = ["LINGER_SECONDS", "Addresses"]

LINGER_SECONDS: Final = 60.0
"""How long a living server keeps an address that none of its Services asks for: the time between two Services of one
server, when the address moves from one to the other."""

_BALANCER: Final = "load-balancer/"


class Addresses:
    """Grants and frees what servers and Services need; every grant is recorded before it is returned."""

    def __init__(
        self, claims: Claims, ranges: Ranges, *, users: range, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Name where things come from.

        Args:
            claims: Where grants are recorded.
            ranges: The instance's networks.
            users: The numbers under which QEMU may run.
            clock: Seconds that only grow.
        """
        self._claims = claims
        self._pools = pools.pools_of(ranges)
        self._guests = pools.Pool("guest", ranges.guest)
        self._users = users
        self._clock = clock
        self._unwanted: dict[Claim, float] = {}

    def guest(self, owner: str) -> tuple[Address, ...] | Fault:
        """Return the guest's own addresses, one per family of the guest range, 4 before 6."""
        granted: list[Address] = []
        for family in self._guests.families:
            address = self._granted(owner, f"guest/{family}", self._guests, family)
            if isinstance(address, Fault):
                return address
            granted.append(address)
        return tuple(granted)

    def tap(self, owner: str) -> str:
        """Return the name of the owner's tap device."""
        return self._numbered(owner, "tap", (f"tap{number}" for number in range(1, 1 << 20)))

    def user(self, owner: str) -> int | Fault:
        """Return the number under which the owner's QEMU runs."""
        try:
            return int(self._numbered(owner, "user", (str(number) for number in self._users)))
        except LookupError:
            return Fault(
                "TooManyServers",
                f"all {len(self._users)} user numbers of this instance are in use: delete a server that is not needed",
            )

    def mac(self, owner: str, mac: str) -> str | Fault:
        """Record the MAC of the owner's cluster NIC, unless another server has it."""
        try:
            return self._claims.take(owner, "mac", "mac", mac)
        except Taken as taken:
            return Fault(
                "MACAddressTaken",
                f"MAC address {mac} belongs to another server of this machine (owner {taken.claim.owner}): "
                "choose another spec.network.macAddress, or leave it out",
            )

    def balancer(self, service: Manifest, group: Sequence[Manifest]) -> tuple[Address, ...] | Fault:
        """Return the load balancer addresses of a Service, one per family, or why there are none.

        Args:
            service: A Service that wants addresses.
            group: All Services that want addresses and have its sharing key, itself included.
        """
        wish = balancing.wish_of(service)
        if isinstance(wish, Fault):
            return wish
        clash = balancing.yields_to(service, group)
        if wish.pinned:
            return self._pinned(service, wish, clash)
        pool = self._pools.get(wish.pool or "")
        if pool is None:
            return self._unknown(wish.pool or "")
        families = [family for family in wish.families if family in pool.families]
        if not families:
            return Fault(
                "PoolUnknown", f"pool {pool.name!r} has no addresses of the Service's families: choose another"
            )
        owner = service["metadata"]["uid"] if clash else balancing.group_of(service)
        granted: list[Address] = []
        for family in families:
            address = self._granted(owner, f"{_BALANCER}{pool.name}/{family}", pool, family)
            if isinstance(address, Fault):
                return address
            granted.append(address)
        return tuple(granted)

    def pool_name(self, service: Manifest, granted: Sequence[Address]) -> str | None:
        """Return the name of the pool that a Service's addresses are from, None where it has none."""
        wish = balancing.wish_of(service)
        if not granted or isinstance(wish, Fault):
            return None
        pool = pools.pool_of(granted[0], self._pools.values())
        return wish.pool or (pool.name if pool else None)

    def _pinned(self, service: Manifest, wish: balancing.Wish, clash: Manifest | None) -> tuple[Address, ...] | Fault:
        group = balancing.group_of(service)
        allowed = [pool for name, pool in self._pools.items() if wish.pool in (None, name)]
        if not allowed:
            return self._unknown(wish.pool or "")
        for address in wish.pinned:
            if pools.pool_of(address, allowed) is None:
                known = ", ".join(f"{pool.name} {', '.join(map(str, pool.networks))}" for pool in allowed)
                return Fault("AddressNotInPool", f"{address} is in no pool that this Service may use ({known})")
            holder = self._claims.holder("address", str(address))
            if holder and holder.owner != group:
                return Fault("AddressInUse", f"{address} belongs to {holder.owner}: choose another, or free it there")
            if holder and clash:
                other = clash["metadata"]
                return Fault(
                    "AddressInUse",
                    f"{address} is shared with Service {other['namespace']}/{other['name']}, with a port in common",
                )
        for address in wish.pinned:
            if self._claims.holder("address", str(address)) is None:
                self._claims.take(group, f"{_BALANCER}pinned/{address}", "address", str(address))
        return wish.pinned

    def _unknown(self, name: str) -> Fault:
        known = ", ".join(sorted(self._pools))
        return Fault("PoolUnknown", f"there is no address pool {name!r}: this machine has {known}")

    def _granted(self, owner: str, purpose: str, pool: pools.Pool, family: int) -> Address | Fault:
        held = self._claims.get(owner, purpose)
        if held and pool.has(ipaddress.ip_address(held)):
            return ipaddress.ip_address(held)
        used = self._claims.values("address")
        address = pool.first_free(family, used)
        if address is None:
            return Fault(
                "PoolExhausted",
                f"pool {pool.name!r} ({', '.join(map(str, pool.networks))}) has no free address: {pool.used(used)} of "
                f"{pool.size(family)} are in use; delete a server or Service that has one, or give the pool more",
            )
        self._claims.take(owner, purpose, "address", str(address))
        return address

    def _numbered(self, owner: str, kind: Kind, candidates: Iterable[str]) -> str:
        if held := self._claims.get(owner, kind):
            return held
        used = self._claims.values(kind)
        free = next((value for value in candidates if value not in used), None)
        if free is None:
            raise LookupError(kind)
        return self._claims.take(owner, kind, kind, free)

    def sweep(self, *, alive: Collection[str], services: Iterable[Manifest], in_use: Collection[str]) -> list[Claim]:
        """Free what nobody holds any more, and return it.

        Only to be called with what a synced cache shows: an owner that is not in it is gone.

        Args:
            alive: The UIDs of all objects that may own something, and of their controllers.
            services: All Services that want addresses.
            in_use: Values that a machine or link on this host still uses; they are kept whoever owned them.
        """
        wanted = self._wanted(list(services))
        groups = {owner for owner, _ in wanted}
        freed: list[Claim] = []
        unwanted: dict[Claim, float] = {}
        for claim in self._claims.all():
            if claim.value in in_use:
                continue
            if not claim.purpose.startswith(_BALANCER):
                if claim.owner not in alive:
                    freed.append(claim)
            elif (claim.owner, claim.purpose) not in wanted and (claim.owner, claim.value) not in wanted:
                since = self._unwanted.get(claim, self._clock())
                lingers = claim.owner.rpartition("/")[2] in alive and claim.owner not in groups
                if lingers and self._clock() - since < LINGER_SECONDS:
                    unwanted[claim] = since
                else:
                    freed.append(claim)
        self._unwanted = unwanted
        self._claims.free(freed)
        return freed

    @property
    def lingering(self) -> bool:
        """Whether an address waits for the Service that it moves to."""
        return bool(self._unwanted)

    def _wanted(self, services: list[Manifest]) -> set[tuple[str, str]]:
        """Return (owner, purpose) of every wish, and (owner, address) of every pinned one."""
        wanted: set[tuple[str, str]] = set()
        groups: dict[str, list[Manifest]] = {}
        for service in services:
            groups.setdefault(balancing.group_of(service), []).append(service)
        for group, members in groups.items():
            for service in members:
                wish = balancing.wish_of(service)
                if isinstance(wish, Fault):
                    continue
                owner = service["metadata"]["uid"] if balancing.yields_to(service, members) else group
                wanted |= {(group, str(address)) for address in wish.pinned}
                if not wish.pinned:
                    wanted |= {(owner, f"{_BALANCER}{wish.pool}/{family}") for family in wish.families}
        return wanted
