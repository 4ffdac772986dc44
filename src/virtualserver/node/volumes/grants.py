"""What all disks of this host may grow to together: thin disks are granted more room than they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.kube import kinds
from virtualserver.kube.objects import owner_uid
from virtualserver.node.volumes.claims import capacity_of, image_of
from virtualserver.storage import space

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Manifest
    from virtualserver.storage.space import Space

__all__ = ["Grants", "promised"]


class Grants:
    """Bytes by the UID of a disk's DataVolume. What was granted before we ran is read from the claims."""

    def __init__(self, cache: Cache) -> None:
        """Name where the claims are; they are read once the cache is synced."""
        self._cache = cache
        self._sizes: dict[str, int] | None = None

    def grant(self, uid: str, size: int, told: Space, *, overcommit: float) -> bool:
        """Count a disk, or return that it may not grow to its size.

        Args:
            uid: Of its DataVolume.
            size: What it may grow to, in bytes.
            told: The file system that it is on.
            overcommit: All disks may grow to so many times its size; `node.reserve` stops who uses it up.
        """
        sizes = self._all()
        held = sizes.get(uid, 0)
        if size <= held:
            return True
        if sum(sizes.values()) + size - held > space.bound(told, overcommit=overcommit):
            return False
        sizes[uid] = size
        return True

    def take_back(self, uid: str, size: int = 0) -> None:
        """Count a disk with less again, since nothing came of what it was granted.

        Args:
            uid: Of its DataVolume.
            size: What it has, in bytes; 0: it does not exist.
        """
        self._all()[uid] = size

    def keep(self, alive: Container[str]) -> None:
        """Forget the disks of all other DataVolumes."""
        sizes = self._all()
        for uid in [uid for uid in sizes if uid not in alive]:
            del sizes[uid]

    def _all(self) -> dict[str, int]:
        if self._sizes is None:
            self._sizes = promised(self._cache.all(kinds.PERSISTENT_VOLUME_CLAIM))
        return self._sizes


def promised(claims: Iterable[Manifest]) -> dict[str, int]:
    """Return the bytes that each disk may grow to, by the UID of its DataVolume; pure.

    Whoever makes a claim writes its owner, and only the node says how much one has: so of several, the largest counts.
    """
    found: dict[str, int] = {}
    for claim in claims:
        if not image_of(claim) and (owner := owner_uid(claim)):
            found[owner] = max(found.get(owner, 0), capacity_of(claim) or 0)
    return found
