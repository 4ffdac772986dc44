"""What a Service asks of the address pools: a value, without the manifest that it was read from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from virtualserver.plan.sites.quotas import NO_QUOTA

if TYPE_CHECKING:
    from virtualserver.fabric.desired.state import Address
    from virtualserver.node.allocation.allocations import Claimant
    from virtualserver.plan.sites.quotas import AddressQuota

__all__ = ["AddressWish"]


@dataclasses.dataclass(frozen=True, slots=True)
class AddressWish:
    """The load balancer addresses that one Service asks for.

    Attributes:
        service: The Service's UID.
        group: Who owns an address that Services share: ``NAMESPACE/SHARING-KEY``; else the Service's UID.
        clash: ``NAMESPACE/NAME`` of an older Service of the group that has a port in common, so that the two cannot
            share an address; None: there is none.
        pool: The pool's name; None where only the pinned addresses name it.
        pinned: The addresses that it must have; empty: any.
        families: 4, 6, in the Service's order.
        claimant: Whom the addresses are for, in words: one of the same name gets them back while they are free.
        quota: So many addresses of each pool may the Service's namespace have.
        opened: The pools that the pinned addresses may be of, where a server's manifest names them; None: any.
        leaves: An address of a former network of its pool that it gives up; None: it keeps what it has.
        ports: Protocol and number of each port that it publishes; none where it leads to nobody.
    """

    service: str
    group: str
    clash: str | None
    pool: str | None
    pinned: tuple[Address, ...]
    families: tuple[int, ...]
    claimant: Claimant
    quota: AddressQuota = NO_QUOTA
    opened: frozenset[str] | None = None
    ports: tuple[tuple[str, int], ...] = ()
    leaves: str | None = None

    @property
    def owner(self) -> str:
        """Who owns an address that is not pinned: the group, unless the Service cannot share the group's address."""
        return self.service if self.clash else self.group
