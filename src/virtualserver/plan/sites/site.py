"""A site: what the words of a manifest mean at this place, and who carries them out there."""

from __future__ import annotations

import dataclasses
from typing import Final

from virtualserver.api import names
from virtualserver.plan.sites.local import Local

__all__ = ["PoolChoice", "Site"]

_LOCAL: Final = Local()


@dataclasses.dataclass(frozen=True, slots=True)
class PoolChoice:
    """Which pool serves a server.

    Attributes:
        name: The pool's name.
        region_known: False where the region has no pool of its own here, and the default pool serves it.
    """

    name: str
    region_known: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """Where servers run.

    Attributes:
        pools: Names of the address pools: ``public``, ``private``, and ``public-REGION``, ``private-REGION``.
        image_namespace: Where images are PersistentVolumeClaims.
        storage_classes: Storage class names that the site honours; any other is a wish.
        driver: What is written for, waited for and refused by whoever carries the objects out.
    """

    pools: frozenset[str] = frozenset({"public", "private"})
    image_namespace: str = names.IMAGE_NAMESPACE
    storage_classes: frozenset[str] = frozenset({"local"})
    driver: Local = _LOCAL

    def pool(self, *, public: bool, region: str) -> PoolChoice:
        """Return the pool for a server; regions are written in any case, pool names in lower case.

        An unknown region uses the default pool, never a pool of the other kind.
        """
        default = "public" if public else "private"
        if not region:
            return PoolChoice(default)
        regional = f"{default}-{region.lower()}"
        return PoolChoice(regional) if regional in self.pools else PoolChoice(default, region_known=False)
