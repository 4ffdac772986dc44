"""The machine's own address as a pool: each of its ports has one owner, recorded before it is used."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

from virtualserver.node.allocation.allocations import BALANCER
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from virtualserver.fabric.desired.state import Address
    from virtualserver.node.allocation.allocations import Allocations
    from virtualserver.node.allocation.wishes import AddressWish

__all__ = ["PORT_IN_USE", "Host", "HostPool"]

PORT_IN_USE: Final = "PortInUse"
"""Reason of a wait for a port that somebody has: a process of the machine may give it up without a word."""

_logger = logging.getLogger(__name__)

_PORT_SECONDS: Final = 10.0
_PORTS: Final = 64
"""So many ports may a namespace have for each address that its quota says: all have the same address, and 65,535 ports
of it for each protocol."""


class Host(Protocol):
    """The machine as far as its own address is a pool."""

    @property
    def address(self) -> Address | None:
        """The address by which the machine is reached now, None where there is none."""
        ...

    def occupant(self, protocol: str, port: int) -> str:
        """Return which process of the machine has a port of that address, in words; ``""`` where none has it."""
        ...


class HostPool:
    """Grants ports of the machine's own address."""

    def __init__(self, allocations: Allocations, host: Host, pools: Collection[str]) -> None:
        """Name where grants are recorded.

        Args:
            allocations: Where.
            host: The machine.
            pools: The names of the pools that are its own address.
        """
        self._allocations = allocations
        self._host = host
        self._pools = frozenset(pools)
        self._occupants: dict[tuple[str, int], str] = {}

    def has(self, pool: str) -> bool:
        """Return whether a pool is the machine's own address."""
        return pool in self._pools

    def grant(self, wish: AddressWish) -> tuple[Address, ...] | Wait:
        """Return the machine's own address for all of a Service's ports, or why it has it not: never by halves."""
        pool, address = str(wish.pool), self._host.address
        if address is None:
            return Wait(
                "HostAddress", f"pool {pool} is this machine's own address, and it has no way to the outside now"
            )
        if not wish.ports:
            return Wait(
                "HostAddress",
                f"pool {pool} is this machine's own address: it publishes ports, and no server can have it for itself, "
                "neither attached nor floating: publish ports, or ask for a pool of addresses (public: false; an "
                "administrator makes one with vs up --public-pool NETWORK)",
            )
        if wait := self._exceeded(wish, pool):
            return wait
        for protocol, port in wish.ports:
            if wait := self._denied(wish, protocol, port):
                return wait
        for protocol, port in wish.ports:
            self._allocations.take(
                wish.owner, _purpose(pool, protocol, port), "port", f"{protocol}/{port}", wish.claimant
            )
        return (address,)

    def has_granted(self, wish: AddressWish) -> bool:
        """Return whether a Service has all the ports that it asks for; one without any has none."""
        return bool(wish.ports) and all(self._has(wish, *port) for port in wish.ports)

    def wanted(self, wish: AddressWish) -> Iterator[tuple[str, str]]:
        """Yield owner and purpose of each port that a Service asks for."""
        yield from ((wish.owner, _purpose(str(wish.pool), protocol, port)) for protocol, port in wish.ports)

    def _exceeded(self, wish: AddressWish, pool: str) -> Wait | None:
        """Return that a namespace would have more ports than it may, None where it may have these too."""
        limit, namespace = wish.quota.of(pool), wish.claimant.namespace
        new = sum(not self._has(wish, *port) for port in wish.ports)
        if limit is None or not new:
            return None
        if limit == 0:
            return Wait("AddressQuotaExceeded", f"0 of pool {pool}: namespace {namespace} may have none")
        held = sum(one.kind == "port" and one.claimant.namespace == namespace for one in self._allocations.all())
        if held + new <= limit * _PORTS:
            return None
        return Wait(
            "AddressQuotaExceeded",
            f"{held} of {limit * _PORTS} ports of pool {pool}, and {new} more are asked for: namespace {namespace} may "
            f"have {_PORTS} for each address of its quota: publish fewer, or ask an administrator for a larger quota",
        )

    def _denied(self, wish: AddressWish, protocol: str, port: int) -> Wait | None:
        if self._has(wish, protocol, port):
            return None  # whoever listens there now came later
        held = self._allocations.of_value("port", f"{protocol}/{port}")
        if held:
            who = held.named_to(wish.claimant, "Service")
        elif self._occupied(protocol, port):
            who = "a program of this machine"
        else:
            return None
        message = f"{protocol} port {port} of this machine's own address is in use by {who}: choose another port"
        return Wait(PORT_IN_USE, message, retry_seconds=_PORT_SECONDS)

    def _occupied(self, protocol: str, port: int) -> bool:
        """Return whether a process of the machine has a port; which one is the administrator's to know: the log's."""
        occupant = self._host.occupant(protocol, port)
        if occupant and self._occupants.get((protocol, port)) != occupant:
            _logger.info("%s port %s of this machine's own address is in use by %s", protocol, port, occupant)
        self._occupants[protocol, port] = occupant
        return bool(occupant)

    def _has(self, wish: AddressWish, protocol: str, port: int) -> bool:
        held = self._allocations.of_value("port", f"{protocol}/{port}")
        return held is not None and held.owner == wish.owner


def _purpose(pool: str, protocol: str, port: int) -> str:
    return f"{BALANCER}{pool}/{protocol}/{port}"
