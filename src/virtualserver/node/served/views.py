"""What the API of addresses shows: pools and the site's words, as objects; pure.

`POOLS` is for whoever sees all namespaces: it names every holder. `NAMESPACE_POOLS` is the same as a namespace sees it,
with its own holdings and no other names. Roles bound in a namespace give the second only, since the first has none.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.kube.objects import Resource
from virtualserver.node.served.tables import Column, View

if TYPE_CHECKING:
    from virtualserver.node.allocation.holdings import Holding, PoolHoldings
    from virtualserver.plan.sites.quotas import AddressQuota
    from virtualserver.plan.sites.site import Site

__all__ = ["NAMESPACE_POOLS", "POOLS", "SITE", "SITES", "VIEWS", "namespace_pool", "pool", "site"]

_TOTALS: Final = (
    Column("Family", "families", "Families of its addresses."),
    Column("Networks", "networks", "Where its addresses come from; none where it is the machine's own address."),
    Column("Size", "size", "How many addresses may be given.", "integer"),
    Column("Used", "used", "How many of these are held.", "integer"),
    Column("Free", "free", "How many nobody holds.", "integer"),
)

POOLS: Final = View(
    Resource(names.NETWORK_GROUP, names.VERSION, "pools", "Pool", namespaced=False),
    "pool",
    (*_TOTALS, Column("Namespaces", "namespaces", "Who holds some.", is_wide=True)),
)
NAMESPACE_POOLS: Final = View(
    Resource(names.NETWORK_GROUP, names.VERSION, "namespacepools", "NamespacePool"),
    "namespacepool",
    (
        *_TOTALS,
        Column("Own", "own", "How many this namespace holds.", "integer"),
        Column("Quota", "quota", "How many it may hold; none: as many as there are.", "integer"),
    ),
)
SITES: Final = View(
    Resource(names.NETWORK_GROUP, names.VERSION, "sites", "Site"),
    "site",
    (
        Column("Regions", "regionNames", "Regions that have pools of their own."),
        Column("Images", "imageNamespaces", "Namespaces whose images everybody may clone."),
        Column("Verbs", "verbs", "What needs a right of its own.", is_wide=True),
    ),
)
SITE: Final = "site"
"""The name of the one object of `SITES` in each namespace."""

VIEWS: Final = (POOLS, NAMESPACE_POOLS, SITES)


def pool(use: PoolHoldings) -> dict[str, Any]:
    """Return a pool with every holder."""
    counts = collections.Counter(one.namespace for one in use.holdings)
    return POOLS.made(
        use.name,
        {**_totals(use), "namespaces": dict(sorted(counts.items())), "holders": [*map(_holder, use.holdings)]},
    )


def namespace_pool(use: PoolHoldings, namespace: str, quota: AddressQuota, *, is_opened: bool) -> dict[str, Any]:
    """Return a pool as a namespace sees it.

    Args:
        use: The pool.
        namespace: Who sees it.
        quota: How many addresses the namespace may have.
        is_opened: Whether its servers may ask for one of the addresses in particular.
    """
    own = [one for one in use.holdings if one.namespace == namespace]
    limit = quota.of(use.name)
    return NAMESPACE_POOLS.made(
        use.name,
        {
            **_totals(use),
            "own": len(own),
            **({} if limit is None else {"quota": limit}),
            "open": is_opened,
            "holders": [*map(_holder, own)],
        },
        namespace=namespace,
    )


def site(found: Site, namespace: str) -> dict[str, Any]:
    """Return what of a site a form needs, as a namespace sees it.

    The first region is that of a manifest without one, or with one that has no pools of its own.
    """
    regional = {name.partition("-")[2] for name in found.pools if "-" in name}
    regions = [
        {
            "name": region,
            "publicPool": found.pool(public=True, region=region).name,
            "privatePool": found.pool(public=False, region=region).name,
        }
        for region in ("", *sorted(regional))
    ]
    return SITES.made(
        SITE,
        {
            "regions": regions,
            "regionNames": sorted(regional),
            "imageNamespaces": list(found.image_namespaces),
            "storageClasses": sorted(found.storage_classes),
            "verbs": sorted(found.verbs),
            "openPools": sorted(found.opened_to(namespace)),
            "keepDisk": found.keep_disk,
        },
        namespace=namespace,
    )


def _totals(use: PoolHoldings) -> dict[str, Any]:
    return {
        "families": [f"IPv{family}" for family in sorted({network.version for network in use.networks})],
        "networks": [*map(str, use.networks)],
        "size": use.size,
        "used": use.used,
        "free": use.free,
        "host": use.is_host,
        **({"address": use.address} if use.address else {}),
    }


def _holder(holding: Holding) -> dict[str, str]:
    said = {
        "address": holding.address,
        "port": holding.port,
        "namespace": holding.namespace,
        "kind": holding.kind,
        "name": holding.name,
    }
    return {field: value for field, value in said.items() if value}
