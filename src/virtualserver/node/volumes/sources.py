"""What the disk of a DataVolume starts from: an image, or another disk of its namespace, which is copied."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from virtualserver.api import names
from virtualserver.api.support.data_volume import DATA_VOLUME
from virtualserver.api.support.field import obstacles
from virtualserver.kube import fields, kinds
from virtualserver.kube.objects import key_of
from virtualserver.node.ownership import is_made_by
from virtualserver.node.volumes.claims import image_of, progress_of
from virtualserver.node.volumes.data_volume import waits_for
from virtualserver.node.waits import SOURCE_NOT_READY, Wait
from virtualserver.storage.images import Image, ImageError, ImageStore

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Key, Manifest
    from virtualserver.node.held import Held
    from virtualserver.storage.disks import DiskStore

__all__ = ["Source", "Sources"]


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """What a disk starts from.

    Attributes:
        digest: Of the image at its bottom, whose kernel it boots.
        base: The file of that image.
        least: Bytes that the disk has at least.
        disk: Identifier of the disk that is copied; None: the disk starts as the image.
    """

    digest: str
    base: Path
    least: int
    disk: str | None = None


class Sources:
    """Finds images and disks by the claims that DataVolumes name."""

    def __init__(self, cache: Cache, images: ImageStore, disks: DiskStore, held: Held) -> None:
        """Name where it looks.

        Args:
            cache: What the API has.
            images: By their digests.
            disks: By the UIDs of their DataVolumes.
            held: Which disks machines write to.
        """
        self._cache = cache
        self._images = images
        self._disks = disks
        self._held = held

    def image(self, digest: str) -> Image | None:
        """Return an image, None where it is not on this machine."""
        try:
            return self._images.get(digest)
        except ImageError:
            return None

    def of(self, volume: Manifest) -> Source | Wait:
        """Return what a DataVolume's disk starts from, or what it waits for."""
        pvc = fields.mapping(volume, "spec", "source").get("pvc")
        others = obstacles(DATA_VOLUME, volume)
        if pvc is None or others:
            asked = f"{', '.join(others)} is not supported here" if others else "spec.source is missing"
            remedy = "use spec.source.pvc" if pvc is None else "remove it"
            message = f"{asked}: {remedy}"
            return waits_for("SourceNotSupported", message, is_final=True)
        key = pvc.get("namespace") or volume["metadata"]["namespace"], pvc["name"]
        claim = self._cache.get(kinds.PERSISTENT_VOLUME_CLAIM, key)
        if claim is None:
            return self._without_claim(volume, key)
        digest = image_of(claim) or fields.annotations_of(claim).get(names.BASE_IMAGE)
        image = self.image(digest) if digest else None
        if digest is not None and image is None:
            message = f"spec.source.pvc: image {digest} of {key[0]}/{key[1]} is not on this machine"
            return waits_for("SourceMissing", message)
        if image is None and (progress := progress_of(claim)):
            return _image_being_made(key, is_abandoned=progress == names.IMAGE_ABANDONED)
        if image is None:
            message = (
                f"spec.source.pvc: {key[0]}/{key[1]} is neither an image nor a disk; `vs image list` shows the images"
            )
            return waits_for("SourceNotSupported", message, is_final=True)
        if image_of(claim):
            return Source(image.digest, image.disk, image.virtual_size)
        return self._copied(volume, claim, image)

    def _without_claim(self, volume: Manifest, key: Key) -> Wait:
        """Return what a DataVolume waits for whose source does not exist: it may be made only now, as this one is."""
        is_near = key[0] == volume["metadata"]["namespace"] and key != key_of(volume)
        if is_near and self._cache.get(kinds.DATA_VOLUME, key) is not None:
            return _no_disk_yet(key)
        return waits_for("SourceMissing", f"spec.source.pvc: there is no PersistentVolumeClaim {key[0]}/{key[1]}")

    def _copied(self, volume: Manifest, claim: Manifest, image: Image) -> Source | Wait:
        """Return the disk of a claim, to be copied, or what it waits for."""
        key = key_of(claim)
        maker = self._cache.get(kinds.DATA_VOLUME, key)
        if key[0] != volume["metadata"]["namespace"]:
            message = f"spec.source.pvc: {key[0]}/{key[1]} is a disk, and of another namespace only images are taken"
            return waits_for("SourceNotSupported", message, is_final=True)
        if maker is None or not is_made_by(maker, claim):
            message = f"spec.source.pvc: claim {key[0]}/{key[1]} has no disk, because no DataVolume made it"
            return waits_for("SourceNotSupported", message, is_final=True)
        identifier = maker["metadata"]["uid"]
        if identifier == volume["metadata"]["uid"] or not self._disks.path(identifier).exists():
            return _no_disk_yet(key)
        if rival := self._held.rival("", identifier, writes=False):
            return _in_use(key, rival)
        return Source(image.digest, image.disk, self._disks.size(identifier), identifier)


def _image_being_made(key: Key, *, is_abandoned: bool) -> Wait:
    reason = "SourceMissing" if is_abandoned else SOURCE_NOT_READY
    how = "was not made to its end: make it again" if is_abandoned else "is being made"
    return waits_for(reason, f"spec.source.pvc: image {key[0]}/{key[1]} {how} (`vs image list` shows how far it is)")


def _no_disk_yet(key: Key) -> Wait:
    return waits_for(SOURCE_NOT_READY, f"spec.source.pvc: {key[0]}/{key[1]} has no disk yet")


def _in_use(key: Key, rival: Key) -> Wait:
    whose = f"VirtualMachine {rival[1]} writes to the disk of {key[0]}/{key[1]}"
    return Wait("SourceInUse", f"spec.source.pvc: {whose}: vs stop {rival[1]}, and it is copied")
