"""Grants addresses: `pools` choose them, `allocations` record them.

Who owns what: a guest's own address belongs to the VirtualServer (else to the VirtualMachine), so that it stays when
the machine is made anew; a load balancer address belongs to the Services that share it.
"""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Final

from virtualserver.host.counts import counted
from virtualserver.node.allocation import pools
from virtualserver.node.allocation.allocations import (
    BALANCER,
    NOBODY,
    Allocation,
    Allocations,
    AlreadyAllocated,
    Claimant,
)
from virtualserver.node.allocation.host_pool import PORT_IN_USE
from virtualserver.node.allocation.uplink import PROBING
from virtualserver.node.waits import Wait
from virtualserver.plan.sites.quotas import NO_QUOTA

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from virtualserver.fabric.desired.state import Address, Ranges
    from virtualserver.node.allocation.host_pool import HostPool
    from virtualserver.node.allocation.uplink import UplinkPools
    from virtualserver.node.allocation.wishes import AddressWish
    from virtualserver.plan.sites.quotas import AddressQuota

__all__ = ["COOLING", "PASSING", "Addresses"]

COOLING: Final = "AddressCoolingDown"
"""Reason of a wait for a pinned address that somebody else gave back a moment ago: it ends by itself."""

PASSING: Final = (COOLING, PORT_IN_USE, PROBING)
"""Reasons of waits that end without a change of any object that is watched: they are looked at again after a while."""

_NAMED: Final = 5

_ATTACHED: Final = "attached/"
_ATTACHMENTS: Final = "attachments"
_FORMER: Final = "former/"
"""Purpose of an address that is of no pool of its owner's any more: to be freed as soon as nothing stands for it."""


class Addresses:
    """Grants and frees what servers and Services need; every grant is recorded before it is returned."""

    def __init__(
        self,
        allocations: Allocations,
        ranges: Ranges,
        *,
        clock: Callable[[], float] = time.time,
        host: HostPool | None = None,
        uplink: UplinkPools | None = None,
    ) -> None:
        """Name where things come from.

        Args:
            allocations: Where grants are recorded.
            ranges: The installation's networks.
            clock: Seconds since the epoch.
            host: Grants ports of the machine's own address; None where no pool is that.
            uplink: Knows whether somebody on the uplink has an address; None where no pool is on one.
        """
        self._allocations = allocations
        self._pools = pools.pools_of(ranges)
        self._guests = pools.Pool("guest", ranges.guest)
        self._clock = clock
        self._host = host
        self._uplink = uplink

    def guest(self, owner: str, claimant: Claimant = NOBODY) -> tuple[Address, ...] | Wait:
        """Return the guest's own addresses, one per family of the guest range, 4 before 6.

        Args:
            owner: The UID under which they are recorded.
            claimant: Whom they are for, in words: one of the same name gets them back while they are free.
        """
        granted: list[Address] = []
        for family in self._guests.families:
            address = self._granted(owner, f"guest/{family}", self._guests, family, claimant)
            if isinstance(address, Wait):
                return address
            granted.append(address)
        return tuple(granted)

    def attach(self, owner: str, addresses: Sequence[Address]) -> Wait | None:
        """Record that load balancer addresses are the own ones of an owner's NIC, or return why they cannot be."""
        for address in addresses:
            try:
                self._allocations.take(owner, f"{_ATTACHED}{address.version}", "attached", str(address))
            except AlreadyAllocated:
                return Wait(
                    "AddressInUse",
                    f"{address} is the own address of another machine, and an address goes to one NIC: stop that "
                    "machine (vs stop NAME), or attach a Service of this machine's own",
                )
        return None

    @property
    def records_attachments(self) -> bool:
        """Whether the attachments of all machines that run are recorded, as since the first start of this version."""
        return self._allocations.fact(_ATTACHMENTS) is not None

    def remember_attachments(self) -> None:
        """Say that the attachments of all machines that run are recorded: from now on nothing else tells of one."""
        self._allocations.remember(_ATTACHMENTS, "recorded")

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

    def group_of(self, address: Address) -> str | None:
        """Return whose Services have a load balancer address, None where nobody's have it."""
        holder = self._allocations.of_value("address", str(address))
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
        if self._host and self._host.has(pool.name):
            return self._on_host(wish, pool, self._host)
        families = [family for family in wish.families if family in pool.families]
        if not families:
            return Wait("PoolUnknown", f"pool {pool.name!r} has no addresses of the Service's families: choose another")
        granted: list[Address] = []
        for family in families:
            purpose = _purpose(pool.name, family)
            address = self._granted(
                wish.owner, purpose, pool, family, wish.claimant, quota=wish.quota, leaves=wish.leaves
            )
            if isinstance(address, Wait):
                return address
            granted.append(address)
        return tuple(granted)

    def _on_host(self, wish: AddressWish, pool: pools.Pool, host: HostPool) -> tuple[Address, ...] | Wait:
        """Return the machine's own address, or those of former networks: one is given up only for the machine's own."""
        former = self._former(wish, pool)
        staying = tuple(address for address in former if str(address) != wish.leaves)
        if staying:
            return staying
        granted = host.grant(wish)
        return former if isinstance(granted, Wait) and former else granted

    def _former(self, wish: AddressWish, pool: pools.Pool) -> tuple[Address, ...]:
        """Return the addresses that a Service has of former networks of its pool."""
        held = (self._allocations.get(wish.owner, _purpose(pool.name, family)) for family in wish.families)
        found = (ipaddress.ip_address(text) for text in held if text)
        return tuple(address for address in found if pool.was_of(address))

    def contested(self, address: Address) -> str:
        """Return who else on the uplink answers for an address that is held here, ``""`` where nobody does."""
        return self._uplink.contested(address) if self._uplink else ""

    def to_probe(self) -> list[Address]:
        """Return the addresses that the uplink is to be asked for now; none where no pool is on one."""
        return self._uplink.to_probe(self._pools.values()) if self._uplink else []

    def is_of_former_network(self, address: Address) -> bool:
        """Return whether an address is of a network that its pool had before."""
        return any(pool.was_of(address) for pool in self._pools.values())

    def pool_name(self, wish: AddressWish, granted: Sequence[Address]) -> str | None:
        """Return the name of the pool that granted addresses are from, None where there are none."""
        if granted and wish.pool and (self._is_host(wish.pool) or self._pools[wish.pool].was_of(granted[0])):
            return wish.pool
        pool = pools.pool_of(granted[0], self._pools.values()) if granted else None
        return (wish.pool or pool.name) if pool else None

    def is_on_host(self, wish: AddressWish) -> bool:
        """Return whether a Service asks for the machine's own address."""
        if wish.pinned or wish.pool is None or not self._is_host(wish.pool):
            return False
        former = self._former(wish, self._pools[wish.pool])
        return not former or (all(str(one) == wish.leaves for one in former) and self._host_has(wish))

    def _host_has(self, wish: AddressWish) -> bool:
        return self._host is not None and self._host.has_granted(wish)

    def _is_host(self, pool: str) -> bool:
        return self._host is not None and self._host.has(pool)

    def _pinned(self, wish: AddressWish) -> tuple[Address, ...] | Wait:
        allowed = [pool for name, pool in self._pools.items() if wish.pool in (None, name)]
        if not allowed:
            return self._unknown(wish.pool or "")
        new: dict[Address, pools.Pool] = {}
        for address in wish.pinned:
            if wait := self._closed(wish, address):
                return wait
            pool = pools.pool_of(address, allowed)
            if pool is None and self._keeps(wish, address, allowed):
                continue
            if pool is None:
                known = ", ".join(f"{pool.name} {', '.join(map(str, pool.networks))}" for pool in allowed)
                return Wait("AddressNotInPool", f"{address} is in no pool that this Service may use ({known})")
            if wait := self._denied(wish, address, pool, more=list(new.values()).count(pool)):
                return wait
            if self._allocations.of_value("address", str(address)) is None:
                new[address] = pool
        for address in new:
            self._allocations.take(wish.owner, f"{BALANCER}pinned/{address}", "address", str(address), wish.claimant)
        return wish.pinned

    def _closed(self, wish: AddressWish, address: Address) -> Wait | None:
        """Return that an address is in no pool that is open to its namespace, None where it is, or is held already.

        It says the same of every other address, so that nobody learns by it which are in use, or in a pool at all.
        """
        if wish.opened is None or self._allocations.get(wish.owner, f"{BALANCER}pinned/{address}") == str(address):
            return None
        opened = [pool for name, pool in sorted(self._pools.items()) if name in wish.opened]
        if pools.pool_of(address, opened) is not None:
            return None
        namespace = wish.claimant.namespace
        known = ", ".join(f"{pool.name} {', '.join(map(str, pool.networks))}" for pool in opened)
        remedy = f"it may have one of {known}" if known else "none is open to it, and an administrator opens one"
        return Wait(
            "AddressNotInPool",
            f"{address} is in no pool of which namespace {namespace} may name an address: {remedy}; else name a "
            "Service of type LoadBalancer, which gets a free address",
        )

    def _keeps(self, wish: AddressWish, address: Address, allowed: Iterable[pools.Pool]) -> bool:
        """Return whether a Service has an address already, of a former network of its pool."""
        held = self._allocations.of_value("address", str(address))
        is_own = held is not None and held.owner in (wish.group, wish.service)
        return is_own and any(pool.was_of(address) for pool in allowed)

    def _denied(self, wish: AddressWish, address: Address, pool: pools.Pool, *, more: int) -> Wait | None:
        """Return why a Service may not have the very address that it asks for with so many more, None where it may."""
        held = self._allocations.of_value("address", str(address))
        if held is None and self._uplink and (wait := self._uplink.occupied(address)):
            return wait
        if held is None:
            exceeded = self._exceeded(pool, wish.claimant, wish.quota, more=more)
            return exceeded or self._cooling(address, pool, wish.claimant)
        if held.owner == wish.service:
            return None
        if held.owner != wish.group:
            named = held.named_to(wish.claimant, "Service")
            return Wait("AddressInUse", f"{address} is in use by {named}: choose another")
        if wish.clash:
            return Wait("AddressInUse", f"{address} is shared with Service {wish.clash}, with a port in common")
        return None

    def _exceeded(self, pool: pools.Pool, claimant: Claimant, quota: AddressQuota, *, more: int = 0) -> Wait | None:
        """Return that a namespace may not have one address of a pool and so many more; None where it may."""
        limit = quota.of(pool.name)
        if limit is None:
            return None
        count = sum(
            one.kind == "address"
            and one.is_balancer
            and one.claimant.namespace == claimant.namespace
            and pool.has(ipaddress.ip_address(one.value))
            for one in self._allocations.all()
        )
        if count + more < limit:
            return None
        asked = f", and {more + 1} more are asked for" if more else ""
        return Wait(
            "AddressQuotaExceeded",
            f"{count} of {limit} of pool {pool.name}{asked}: namespace {claimant.namespace} may have no more of its "
            "addresses: take one from a server (the ports in its spec.network) or delete a Service (kubectl delete "
            f"service NAME -n {claimant.namespace}), or ask an administrator for more (vs user add --addresses)",
        )

    def _cooling(self, address: Address, pool: pools.Pool, claimant: Claimant) -> Wait | None:
        """Return that clients may still mean another namespace by an address, None where it may be given."""
        history = self._history(claimant)
        text = str(address)
        if not history.is_cooling(text) or history.releases[text].claimant.namespace == claimant.namespace:
            return None
        if not pool.is_calm(address.version, self._allocations.values("address"), history):
            return None
        seconds = history.ends(text) - history.now
        return Wait(
            COOLING,
            f"{address} was in use in another namespace until a moment ago: it is given to others again in "
            f"{seconds:.0f} s; to have an address at once, ask for none in particular",
            retry_seconds=seconds,
        )

    def _history(self, claimant: Claimant) -> pools.History:
        return pools.History(self._allocations.releases(), claimant, self._clock())

    def _unknown(self, name: str) -> Wait:
        known = ", ".join(sorted(self._pools))
        return Wait("PoolUnknown", f"there is no address pool {name[:60]!r}: this machine has {known}")

    def _granted(
        self,
        owner: str,
        purpose: str,
        pool: pools.Pool,
        family: int,
        claimant: Claimant,
        *,
        quota: AddressQuota = NO_QUOTA,
        leaves: str | None = None,
    ) -> Address | Wait:
        held = self._allocations.get(owner, purpose)
        address = ipaddress.ip_address(held) if held else None
        if held and address and (pool.has(address) or (pool.was_of(address) and held != leaves)):
            self._allocations.name(owner, purpose, claimant)
            return ipaddress.ip_address(held)
        chosen = self._exceeded(pool, claimant, quota) or self._chosen(pool, family, claimant)
        if isinstance(chosen, Wait) and address and pool.was_of(address):
            return address  # one of a former network is given up for another one only
        if held:
            # The pool is another one now. What stands for the address is still there, so it is not free yet.
            self._allocations.rename(owner, purpose, f"{_FORMER}{held}")
        if not isinstance(chosen, Wait):
            self._allocations.take(owner, purpose, "address", str(chosen), claimant)
        return chosen

    def _chosen(self, pool: pools.Pool, family: int, claimant: Claimant) -> Address | Wait:
        """Return an address of a pool that nobody has, or why there is none."""
        used = self._allocations.values("address")
        on_uplink = self._uplink if self._uplink and self._uplink.has(pool) else None
        address = pool.choose(family, on_uplink.unusable(used) if on_uplink else used, self._history(claimant))
        if address is not None:
            return address
        others: list[str] | Wait = on_uplink.others(pool, family, used) if on_uplink else []
        return others if isinstance(others, Wait) else _exhausted(pool, family, used, others)

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
        wanted = {one for wish in wishes for one in self._wanted(wish)}
        of_nics = [one for one in self._allocations.all() if not one.is_balancer]
        using = {one.owner for one in of_nics if one.value in in_use}
        kept = {*in_use, *(one.value for one in of_nics if one.owner in using)}
        freed: list[Allocation] = []
        for one in self._allocations.all():
            if one.kind == "attached":
                is_free = one.owner not in attaching
            elif one.is_balancer:
                is_free = (one.owner, one.purpose) not in wanted and (one.owner, one.value) not in wanted
            else:
                is_free = one.owner not in alive or one.purpose.startswith(_FORMER)
            if is_free and one.value not in kept:
                freed.append(one)
        self._allocations.free(freed)
        return freed

    def _wanted(self, wish: AddressWish) -> Iterator[tuple[str, str]]:
        """Yield owner and purpose of what a Service may have, or owner and address; nothing where it cannot have it."""
        allowed = [pool for name, pool in self._pools.items() if wish.pool in (None, name)]
        if self._host and self.is_on_host(wish):
            yield from self._host.wanted(wish)
        elif not wish.pinned:
            yield from ((wish.owner, _purpose(pool.name, family)) for pool in allowed for family in wish.families)
        elif all(pools.pool_of(one, allowed) or self._keeps(wish, one, allowed) for one in wish.pinned):
            # The group's, or its own where it had one before it could share. One that cannot share keeps nothing of the
            # group's for itself: it would wait for ever for what it keeps.
            owners = (wish.service,) if wish.clash else (wish.group, wish.service)
            yield from ((owner, str(address)) for address in wish.pinned for owner in owners)


def _exhausted(pool: pools.Pool, family: int, used: Collection[str], others: Sequence[str]) -> Wait:
    of_others = counted(len(others), "belongs", "belong")
    told = f"; {of_others} to others on the uplink: {', '.join(others[:_NAMED])}" if others else ""
    return Wait(
        "PoolExhausted",
        f"pool {pool.name!r} ({', '.join(map(str, pool.networks))}) has no free address: {pool.used(used)} of "
        f"{counted(pool.size(family), 'is in use', 'are in use')}{told}; take one from a server (the ports in its "
        "spec.network), delete a Service that has one (kubectl delete service NAME), or give the pool more (vs up "
        "--public-pool NETWORK, or --private-pool)",
    )


def _purpose(pool: str, family: int) -> str:
    return f"{BALANCER}{pool}/{family}"
