"""A site: what the words of a manifest mean at this place, and who carries them out there."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.plan.sites.annotations import AllowedAnnotations
from virtualserver.plan.sites.local import Local
from virtualserver.plan.sites.quotas import Quotas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.api.virtualserver import VirtualServer

__all__ = ["DISK_OVERCOMMIT", "EVERY_NAMESPACE", "BetweenNamespaces", "PoolChoice", "Site", "Verb"]

DISK_OVERCOMMIT: Final = 10.0
"""Disks are thin, and most of them stay far below their size; who uses the room up stands still."""

_LOCAL: Final = Local()
_NO_QUOTAS: Final = Quotas()

_DEFAULT_POOLS: Final = frozenset({"public", "private"})
"""The pools of a site that is one region."""

_USUAL_ANNOTATIONS: Final = AllowedAnnotations()


EVERY_NAMESPACE: Final = "*"
"""Stands for every namespace, where a site opens a pool."""


def _no_pools() -> dict[str, frozenset[str]]:
    return {}


class BetweenNamespaces(enum.StrEnum):
    """Whether guests reach the guests of other namespaces at their own addresses."""

    OPEN = "open"
    """As on a cluster without a NetworkPolicy."""
    CLOSED = "closed"
    """Only at published addresses and ports."""


class Verb(enum.StrEnum):
    """What a user needs a right for, on virtualservers of the namespace, where the site asks for it."""

    USE_PUBLIC = "use-public"
    """To open a port, or all of them, to a public address."""
    DIRECT_ATTACH = "direct-attach"
    """To have a load balancer address as a NIC's own."""
    REQUEST_ADDRESS = "request-address"
    """To ask for an address by its number."""


@dataclasses.dataclass(frozen=True, slots=True)
class PoolChoice:
    """Which pool serves a server.

    Attributes:
        name: The pool's name.
        region_known: False where the default pool serves the region, and others have pools of their own here.
    """

    name: str
    region_known: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """Where servers run.

    Attributes:
        pools: Names of the address pools: ``public``, ``private``, and ``public-REGION``, ``private-REGION``.
        open_pools: By name of a pool: the namespaces whose servers may ask for one of its addresses in particular, or
            `EVERY_NAMESPACE`. A pool that is not named is open to none.
        image_namespaces: Where images are PersistentVolumeClaims that everybody may clone.
        storage_classes: Storage class names that the site honours; any other is a wish.
        between_namespaces: Whether guests reach the guests of other namespaces.
        quotas: What namespaces may hold.
        disk_overcommit: Disks may grow to so many times the size of the file system that they are on.
        annotations: Which annotations of a server are passed on.
        verbs: What users need a right for; the administrator of the cluster has every right.
        keep_disk: Whether a server keeps its disk when it is deleted and its manifest does not say it.
        driver: What is written for, waited for and refused by whoever carries the objects out.
    """

    pools: frozenset[str] = _DEFAULT_POOLS
    open_pools: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=_no_pools)
    image_namespaces: tuple[str, ...] = (names.IMAGE_NAMESPACE,)
    storage_classes: frozenset[str] = frozenset({"local"})
    between_namespaces: BetweenNamespaces = BetweenNamespaces.OPEN
    quotas: Quotas = _NO_QUOTAS
    disk_overcommit: float = DISK_OVERCOMMIT
    annotations: AllowedAnnotations = _USUAL_ANNOTATIONS
    verbs: frozenset[Verb] = frozenset()
    keep_disk: bool = False
    driver: Local = _LOCAL

    def opened_to(self, namespace: str) -> frozenset[str]:
        """Return the names of the pools of which a namespace's servers may ask for an address in particular."""
        wanted = {namespace, EVERY_NAMESPACE}
        return frozenset(name for name, opened in self.open_pools.items() if name in self.pools and opened & wanted)

    def keeps_disk(self, server: VirtualServer) -> bool:
        """Return whether deleting a server leaves its root disk."""
        return self.keep_disk if server.keep_disk is None else server.keep_disk

    def pool(self, *, public: bool, region: str) -> PoolChoice:
        """Return the pool for a server; regions are written in any case, pool names in lower case.

        An unknown region uses the default pool, never a pool of the other kind. Where no region has a pool of its own,
        the site is one region, whatever manifests call it.
        """
        default = "public" if public else "private"
        if not region:
            return PoolChoice(default)
        regional = f"{default}-{region.lower()}"
        if regional in self.pools:
            return PoolChoice(regional)
        return PoolChoice(default, region_known=self.pools <= _DEFAULT_POOLS)
