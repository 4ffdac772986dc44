"""How many addresses of a pool a namespace may hold, as an administrator says it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AddressQuota", "Quotas"]


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


_NOTHING_SAID: Final = AddressQuota()


@dataclasses.dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas of a site.

    Attributes:
        addresses: Of every namespace.
        namespaces: Of a namespace, by its name: what is said here wins over `addresses`, pool by pool.
    """

    addresses: AddressQuota = _NOTHING_SAID
    namespaces: Mapping[str, AddressQuota] = dataclasses.field(default_factory=_no_namespaces)

    def limit(self, namespace: str, pool: str) -> int | None:
        """Return how many addresses of a pool a namespace may hold, None where there is no bound."""
        own = self.namespaces.get(namespace, _NOTHING_SAID).of(pool)
        return self.addresses.of(pool) if own is None else own
