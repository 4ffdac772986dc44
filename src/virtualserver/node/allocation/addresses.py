"""Grants addresses, taps and user numbers: `pools` choose them, `allocations` record them.

Who owns what: a guest's own address, tap and user number belong to the VirtualServer (else to the VirtualMachine), so
that they stay when the machine is made anew; a load balancer address belongs to the Services that share it.
"""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Final

from virtualserver.node.allocation import pools
from virtualserver.node.allocation.allocations import Allocation, Allocations, AlreadyAllocated, Kind
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from virtualserver.fabric.desired.state import Address, Ranges
    from virtualserver.node.allocation.wishes import AddressWish

__all__ = ["RESERVED_SECONDS", "Addresses"]

RESERVED_SECONDS: Final = 60.0
"""How long a living server keeps an address that none of its Services asks for: the time between two Services of one
server, when the address moves from one to the other."""

_BALANCER: Final = "load-balancer/"
_ATTACHED: Final = "attached/"


class Addresses:
    """Grants and frees what servers and Services need; every grant is recorded before it is returned."""

    def __init__(
        self, allocations: Allocations, ranges: Ranges, *, users: range, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Name where things come from.

        Args:
            allocations: Where grants are recorded.
            ranges: The installation's networks.
            users: The numbers under which QEMU may run.
            clock: Seconds that only grow.
        """
        self._allocations = allocations
        self._pools = pools.pools_of(ranges)
        self._guests = pools.Pool("guest", ranges.guest)
        self._users = users
        self._clock = clock
        self._reserved: dict[Allocation, float] = {}

    def guest(self, owner: str) -> tuple[Address, ...] | Wait:
        """Return the guest's own addresses, one per family of the guest range, 4 before 6."""
        granted: list[Address] = []
        for family in self._guests.families:
            address = self._granted(owner, f"guest/{family}", self._guests, family)
            if isinstance(address, Wait):
                return address
            granted.append(address)
        return tuple(granted)

    def tap(self, owner: str) -> str:
        """Return the name of the owner's tap device."""
        return self._numbered(owner, "tap", (f"tap{number}" for number in range(1, 1 << 20)))

    def user(self, owner: str) -> int | Wait:
        """Return the number under which the owner's QEMU runs."""
        try:
            return int(self._numbered(owner, "user", (str(number) for number in self._users)))
        except LookupError:
            return Wait(
                "TooManyServers",
                f"all {len(self._users)} user numbers of this instance are in use: delete a server that is not needed",
            )

    def mac(self, owner: str, mac: str) -> str | Wait:
        """Record the MAC of the owner's cluster NIC, unless another server has it."""
        try:
            return self._allocations.take(owner, "mac", "mac", mac)
        except AlreadyAllocated as error:
            return Wait(
                "MACAddressTaken",
                f"MAC address {mac} belongs to another server of this machine (owner {error.allocation.owner}): "
                "choose another spec.network.macAddress, or leave it out",
            )

    def attach(self, owner: str, addresses: Sequence[Address]) -> Wait | None:
        """Record that load balancer addresses are the own ones of an owner's NIC, or return why they cannot be."""
        for address in addresses:
            try:
                self._allocations.take(owner, f"{_ATTACHED}{address.version}", "attached", str(address))
            except AlreadyAllocated:
                return Wait(
                    "AddressInUse",
                    f"{address} is the own address of another machine, and an address goes to one NIC: stop that "
                    "machine, or attach a Service of this machine's own",
                )
        return None

    def detach(self, owner: str) -> None:
        """Forget that an owner's NIC has load balancer addresses as its own; it has none, or its machine has ended."""
        self._allocations.free(self._attached(owner))

    def attached(self, owner: str) -> tuple[Address, ...]:
        """Return the load balancer addresses that the owner's NIC has as its own, 4 before 6; empty: it has none."""
        found = (ipaddress.ip_address(one.value) for one in self._attached(owner))
        return tuple(sorted(found, key=lambda address: address.version))

    def recorded_guest(self, owner: str) -> tuple[Address, ...]:
        """Return the guest's own addresses as far as they are recorded, 4 before 6; grants none."""
        found = (self._allocations.get(owner, f"guest/{family}") for family in (4, 6))
        return tuple(ipaddress.ip_address(text) for text in found if text)

    def owner_of_tap(self, device: str) -> str | None:
        """Return on whose behalf a tap was made, None where it is not recorded."""
        holder = self._allocations.holder("tap", device)
        return holder.owner if holder else None

    def group_of(self, address: Address) -> str | None:
        """Return whose Services have a load balancer address, None where nobody's have it."""
        holder = self._allocations.holder("address", str(address))
        return holder.owner if holder else None

    def _attached(self, owner: str) -> list[Allocation]:
        return [one for one in self._allocations.all() if one.owner == owner and one.kind == "attached"]

    def balancer(self, wish: AddressWish) -> tuple[Address, ...] | Wait:
        """Return the load balancer addresses of a Service, one per family, or why there are none."""
        if wish.pinned:
            return self._pinned(wish)
        pool = self._pools.get(wish.pool or "")
        if pool is None:
            return self._unknown(wish.pool or "")
        families = [family for family in wish.families if family in pool.families]
        if not families:
            return Wait("PoolUnknown", f"pool {pool.name!r} has no addresses of the Service's families: choose another")
        granted: list[Address] = []
        for family in families:
            address = self._granted(wish.owner, f"{_BALANCER}{pool.name}/{family}", pool, family)
            if isinstance(address, Wait):
                return address
            granted.append(address)
        return tuple(granted)

    def pool_name(self, wish: AddressWish, granted: Sequence[Address]) -> str | None:
        """Return the name of the pool that granted addresses are from, None where there are none."""
        pool = pools.pool_of(granted[0], self._pools.values()) if granted else None
        return (wish.pool or pool.name) if pool else None

    def _pinned(self, wish: AddressWish) -> tuple[Address, ...] | Wait:
        allowed = [pool for name, pool in self._pools.items() if wish.pool in (None, name)]
        if not allowed:
            return self._unknown(wish.pool or "")
        for address in wish.pinned:
            if pools.pool_of(address, allowed) is None:
                known = ", ".join(f"{pool.name} {', '.join(map(str, pool.networks))}" for pool in allowed)
                return Wait("AddressNotInPool", f"{address} is in no pool that this Service may use ({known})")
            holder = self._allocations.holder("address", str(address))
            if holder and holder.owner != wish.group:
                return Wait("AddressInUse", f"{address} belongs to {holder.owner}: choose another, or free it there")
            if holder and wish.clash:
                return Wait("AddressInUse", f"{address} is shared with Service {wish.clash}, with a port in common")
        for address in wish.pinned:
            if self._allocations.holder("address", str(address)) is None:
                self._allocations.take(wish.group, f"{_BALANCER}pinned/{address}", "address", str(address))
        return wish.pinned

    def _unknown(self, name: str) -> Wait:
        known = ", ".join(sorted(self._pools))
        return Wait("PoolUnknown", f"there is no address pool {name!r}: this machine has {known}")

    def _granted(self, owner: str, purpose: str, pool: pools.Pool, family: int) -> Address | Wait:
        held = self._allocations.get(owner, purpose)
        if held and pool.has(ipaddress.ip_address(held)):
            return ipaddress.ip_address(held)
        used = self._allocations.values("address")
        address = pool.first_free(family, used)
        if address is None:
            return Wait(
                "PoolExhausted",
                f"pool {pool.name!r} ({', '.join(map(str, pool.networks))}) has no free address: {pool.used(used)} of "
                f"{pool.size(family)} are in use; delete a server or Service that has one, or give the pool more",
            )
        self._allocations.take(owner, purpose, "address", str(address))
        return address

    def _numbered(self, owner: str, kind: Kind, candidates: Iterable[str]) -> str:
        if held := self._allocations.get(owner, kind):
            return held
        used = self._allocations.values(kind)
        free = next((value for value in candidates if value not in used), None)
        if free is None:
            raise LookupError(kind)
        return self._allocations.take(owner, kind, kind, free)

    def sweep(
        self,
        *,
        alive: Collection[str],
        wishes: Iterable[AddressWish],
        attaching: Collection[str],
        in_use: Collection[str],
    ) -> list[Allocation]:
        """Free what nobody holds any more, and return it.

        Only to be called with what a synced cache shows: an owner that is not in it is gone.

        Args:
            alive: The UIDs of all objects that may own something.
            wishes: Those of all Services that want addresses.
            attaching: The owners with a VMI that wants a load balancer address as its own.
            in_use: Values that a machine or link on this host still uses; they are kept whoever owned them, with all
                else that their owner was given for its NIC.
        """
        wanted = _wanted(wishes)
        of_nics = [one for one in self._allocations.all() if not one.purpose.startswith(_BALANCER)]
        using = {one.owner for one in of_nics if one.value in in_use}
        kept = {*in_use, *(one.value for one in of_nics if one.owner in using)}
        groups = {owner for owner, _ in wanted}
        freed: list[Allocation] = []
        reserved: dict[Allocation, float] = {}
        for one in self._allocations.all():
            if one.value in kept:
                continue
            if one.kind == "attached":
                if one.owner not in attaching:
                    freed.append(one)
            elif not one.purpose.startswith(_BALANCER):
                if one.owner not in alive:
                    freed.append(one)
            elif (one.owner, one.purpose) not in wanted and (one.owner, one.value) not in wanted:
                since = self._reserved.get(one, self._clock())
                # The server lives, and none of its Services asks for an address: it may be between two of them.
                is_between = one.owner.rpartition("/")[2] in alive and one.owner not in groups
                if is_between and self._clock() - since < RESERVED_SECONDS:
                    reserved[one] = since
                else:
                    freed.append(one)
        self._reserved = reserved
        self._allocations.free(freed)
        return freed

    @property
    def has_reserved(self) -> bool:
        """Whether an address waits for the Service that it moves to."""
        return bool(self._reserved)


def _wanted(wishes: Iterable[AddressWish]) -> set[tuple[str, str]]:
    """Return (owner, purpose) of every wish, and (owner, address) of every pinned one."""
    wanted: set[tuple[str, str]] = set()
    for wish in wishes:
        wanted |= {(wish.group, str(address)) for address in wish.pinned}
        if not wish.pinned:
            wanted |= {(wish.owner, f"{_BALANCER}{wish.pool}/{family}") for family in wish.families}
    return wanted
