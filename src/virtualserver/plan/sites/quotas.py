"""How many addresses of a pool a namespace may hold, as an administrator says it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NO_QUOTA", "AddressQuota", "Quotas"]


def _no_pools() -> dict[str, int]:
    return {}


def _no_namespaces() -> dict[str, AddressQuota]:
    return {}


@dataclasses.dataclass(frozen=True, slots=True)
class AddressQuota:
    """How many addresses may be held.

    Attributes:
        each: Of each pool that `pools` does not name; None: nothing is said.
        pools: Of a pool, by its name.
    """

    each: int | None = None
    pools: Mapping[str, int] = dataclasses.field(default_factory=_no_pools)

    def of(self, pool: str) -> int | None:
        """Return what is said of a pool, None where nothing is."""
        return self.pools.get(pool, self.each)


NO_QUOTA: Final = AddressQuota()
"""As many as there are."""


@dataclasses.dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas of a site.

    Attributes:
        addresses: Of every namespace.
        namespaces: Of a namespace, by its name: what is said here wins over `addresses`, pool by pool.
    """

    addresses: AddressQuota = NO_QUOTA
    namespaces: Mapping[str, AddressQuota] = dataclasses.field(default_factory=_no_namespaces)

    def of(self, namespace: str) -> AddressQuota:
        """Return what a namespace may hold."""
        own = self.namespaces.get(namespace, NO_QUOTA)
        if own.each is not None:
            return own
        return AddressQuota(self.addresses.each, {**self.addresses.pools, **own.pools})
