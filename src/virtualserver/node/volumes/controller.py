"""Disks: a DataVolume becomes a PersistentVolumeClaim and a qcow2 file over an immutable image.

What CDI does on a cluster. An image is a claim with the annotation `names.IMAGE`; cloning it is making an overlay, so
it takes no time. A disk is named after its DataVolume's UID, and removed when that is gone and no machine has it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.api.support.data_volume import DATA_VOLUME, served_classes
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import condition_of
from virtualserver.kube.controller import Controller
from virtualserver.kube.errors import Forbidden, Invalid
from virtualserver.kube.objects import Key, Manifest, key_of
from virtualserver.node.objects import partly_applied
from virtualserver.node.ownership import is_made_by
from virtualserver.node.volumes.claims import (
    abandoned_status,
    bound_status,
    capacity_of,
    claim_of,
    image_of,
    is_alone,
    progress_of,
    requesting,
    status_alone,
)
from virtualserver.node.volumes.copies import Copies
from virtualserver.node.volumes.data_volume import no_room, not_ready, size_of, status_of, waits_for
from virtualserver.node.volumes.grants import Grants
from virtualserver.node.volumes.sources import Sources
from virtualserver.node.waits import Wait
from virtualserver.storage.disks import DiskError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from virtualserver.controlplane.site import SiteFound
    from virtualserver.host.followed import Followed
    from virtualserver.kube.cache import Cache
    from virtualserver.machines.spec import Disk
    from virtualserver.node.held import Held
    from virtualserver.node.overseer import Overseer
    from virtualserver.node.queues import Queues
    from virtualserver.node.writer import NodeWriter
    from virtualserver.storage.disks import DiskStore
    from virtualserver.storage.images import ImageStore
    from virtualserver.storage.kernel import Kernel

__all__ = ["CLAIM_NOT_FOUND", "DiskFile", "VolumeController"]

_logger = logging.getLogger(__name__)

CLAIM_NOT_FOUND: Final = "ErrorPvcNotFound"
"""Reason of a wait for a claim that does not exist, or has no disk; KubeVirt's word."""


_MAKER_SECONDS: Final = 2.0
"""So often it is looked whether who makes an image still lives: nothing tells when a process is killed."""


@dataclasses.dataclass(frozen=True, slots=True)
class DiskFile:
    """The file behind a claim.

    Attributes:
        path: The qcow2 file.
        kernel: What its image boots directly; None: the disk itself boots.
        identifier: Names the disk; None: the file is an image, which no machine owns.
    """

    path: Path
    kernel: Kernel | None
    identifier: str | None = None


class VolumeController:
    """Makes, grows and removes disks, and reports them."""

    def __init__(
        self,
        cache: Cache,
        writer: NodeWriter,
        queues: Queues,
        held: Held,
        images: ImageStore,
        disks: DiskStore,
        overseer: Overseer,
        site: Followed[SiteFound],
    ) -> None:
        """Name what it works with.

        Args:
            cache: What the API has.
            writer: Writes claims and statuses.
            queues: Its own one, and the sweep that follows once nobody makes the disk of a DataVolume that is gone.
            held: The disks that machines have open.
            images: What disks start from.
            disks: Where they are made.
            overseer: Watches over its passes.
            site: Has the bound of what all disks may grow to.
        """
        self._cache = cache
        self._writer = writer
        self._queues = queues
        self._held = held
        self._images = images
        self._disks = disks
        self._sources = Sources(cache, images, disks, held)
        self._copies = Copies(disks, queues)
        self._site = site
        self._grants = Grants(cache)
        self._stuck: set[str] = set()
        # A machine that starts and the controller may come to the same disk.
        self._locks: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._controller: Controller[Key] = Controller(
            name="volume",
            reconcile=self._reconcile,
            queue=queues.volumes,
            workers=2,
            subject=overseer.subject(kinds.DATA_VOLUME),
            oversight=overseer.oversight,
        )

    async def run(self) -> None:
        """Work until cancelled."""
        await asyncio.gather(self._controller.run(), self._copies.run())

    async def _reconcile(self, key: Key) -> float | None:
        """Bring the disk, the claim and the status of one DataVolume, or the status of one image claim, in order."""
        async with self._locks[key]:
            return await self._reconcile_alone(key)

    async def grow(self, key: Key) -> None:
        """Grow the disk of a machine that is about to start, where its DataVolume asks for more."""
        volume = self._cache.get(kinds.DATA_VOLUME, key)
        claim = self._cache.get(kinds.PERSISTENT_VOLUME_CLAIM, key)
        size = size_of(volume) if volume else None
        bound = capacity_of(claim) if claim else None
        if isinstance(size, int) and bound is not None and bound < size:
            await self._reconcile(key)

    async def _reconcile_alone(self, key: Key) -> float | None:
        claim = self._cache.get(kinds.PERSISTENT_VOLUME_CLAIM, key)
        if claim is not None and image_of(claim):
            await self._bind_image(claim)
        again = await self._look_for_maker(claim) if claim is not None and progress_of(claim) else None
        volume = self._cache.get(kinds.DATA_VOLUME, key)
        if volume is None:
            if claim is not None and is_alone(claim):
                status = status_alone(claim, now=time.time())
                await self._writer.write_status(kinds.PERSISTENT_VOLUME_CLAIM, claim, status)
            self._queues.sweep_soon()
            return again
        if volume["metadata"].get("deletionTimestamp"):
            return None
        try:
            outcome: Manifest | Wait = await self._make(volume, claim)
        except DiskError as error:
            outcome = waits_for("DiskFailed", str(error))
        if isinstance(outcome, Wait):
            is_ours = claim is not None and is_made_by(volume, claim)
            await self._report(volume, outcome, capacity_of(claim) if claim is not None and is_ours else None)
            return outcome.retry_seconds
        await self._report(volume, None, capacity_of(outcome))
        return None

    def find(self, key: Key) -> DiskFile | Wait:
        """Return the disk of a claim that a machine names, or why there is none yet."""
        claim = self._cache.get(kinds.PERSISTENT_VOLUME_CLAIM, key)
        volume = self._cache.get(kinds.DATA_VOLUME, key)
        if claim is None and volume is None:
            return Wait(CLAIM_NOT_FOUND, f"PersistentVolumeClaim {key[0]}/{key[1]} does not exist")
        if volume is not None and fields.status_of(volume).get("phase") != "Succeeded":
            return Wait("WaitingForVolumes", not_ready(volume))
        if claim is None:
            return Wait("WaitingForVolumes", f"PersistentVolumeClaim {key[0]}/{key[1]} does not exist yet")
        annotations = fields.annotations_of(claim)
        digest = annotations.get(names.IMAGE) or annotations.get(names.BASE_IMAGE)
        image = self._sources.image(digest) if digest else None
        if image_of(claim):
            if image is None:
                return Wait(CLAIM_NOT_FOUND, f"image {digest} of claim {key[0]}/{key[1]} is not on this machine")
            return DiskFile(image.disk, image.kernel)
        if volume is None or not is_made_by(volume, claim):
            # Whoever makes a claim writes its owner: it must not name another namespace's disk.
            return Wait(CLAIM_NOT_FOUND, f"claim {key[0]}/{key[1]} has no disk, because no DataVolume made it")
        identifier = volume["metadata"]["uid"]
        path = self._disks.path(identifier)
        if not path.exists():
            return Wait("WaitingForVolumes", f"the disk of claim {key[0]}/{key[1]} does not exist")
        if self._copies.reads(identifier):
            return Wait("WaitingForVolumes", f"the disk of claim {key[0]}/{key[1]} is being copied")
        return DiskFile(path, image.kernel if image else None, identifier)

    def identifiers_of(self, disks: Iterable[Disk]) -> dict[str, bool]:
        """Return the identifiers of a machine's disks, images aside, and whether its guest writes to each."""
        found: dict[str, bool] = {}
        for disk in disks:
            if identifier := self._disks.identifier_of(disk.path):
                found[identifier] = found.get(identifier, False) or disk.is_written
        return found

    def sweep(self) -> bool:
        """Remove the disks whose DataVolume is gone and that no machine has; return whether each could be.

        Only to be called when the cache is synced.
        """
        alive = {volume["metadata"]["uid"] for volume in self._cache.all(kinds.DATA_VOLUME)}
        in_use = self._held.open_disks()
        gone = [one for one in self._disks.all() if one not in alive and one not in in_use]
        stuck = {identifier for identifier in gone if not self._remove(identifier)}
        self._stuck &= stuck
        self._grants.keep(alive | in_use)
        return not stuck

    def _remove(self, identifier: str) -> bool:
        """Remove a disk, and return whether it could be: the others do not wait for it."""
        try:
            self._disks.remove(identifier)
        except OSError as error:
            if identifier not in self._stuck:
                _logger.error("disk %s: its DataVolume is gone, and it cannot be removed: %s", identifier, error)
            self._stuck.add(identifier)
            return False
        _logger.info("disk %s: its DataVolume is gone, so it is removed", identifier)
        return True

    async def _make(self, volume: Manifest, claim: Manifest | None) -> Manifest | Wait:
        uid = volume["metadata"]["uid"]
        if claim is not None and not is_made_by(volume, claim):
            name = "/".join(key_of(claim))
            return waits_for(
                "ClaimNotOurs", f"PersistentVolumeClaim {name} exists and is another's: give this one another name"
            )
        path, size = self._disks.path(uid), size_of(volume)
        if isinstance(size, Wait):
            # A disk that is there goes on being of use, whatever somebody wrote or an earlier version let pass.
            return size if claim is None or capacity_of(claim) is None or not path.exists() else claim
        if claim is not None and capacity_of(claim) is not None and not path.exists():
            # What was written to it is not in the image: to make it anew in silence would hide the loss.
            return waits_for(
                "DiskGone",
                f"{path} is gone: put it back. Only where it is lost for good, with all that was on it, for a new disk "
                f"from the image: kubectl delete pvc {key_of(claim)[1]} -n {key_of(claim)[0]}",
            )
        if claim is None or not path.exists():
            source = self._sources.of(volume)
            if isinstance(source, Wait):
                return source
            size = max(size, source.least)
            if not self._grant(uid, size):
                return no_room(size)
            # The claim comes before its disk: what exists on this machine can be found through the API.
            if claim is None:
                manifest = claim_of(volume, digest=source.digest, size=size)
                try:
                    claim = await self._writer.create(kinds.PERSISTENT_VOLUME_CLAIM, manifest)
                except (Forbidden, Invalid) as error:
                    # A ResourceQuota or a LimitRange, mostly: whoever asked is told in its words.
                    self._grants.take_back(uid)
                    return Wait("ClaimRefused", error.message)
            if source.disk is not None:
                return self._copies.make(key_of(volume), uid, source, size)
            await asyncio.to_thread(self._disks.create, uid, base=source.base, size_bytes=size, user=0)
        bound = capacity_of(claim)
        if bound is None:
            # As it was made: its source may be larger than what is asked for, and that more than when a copy began.
            bound = self._disks.size(uid)
            claim = await self._bind(claim, bound) or claim
        if bound < size:
            # It grows before the machine's next start.
            if uid in self._held.open_disks():
                return claim
            if not self._grant(uid, size):
                return no_room(size)
            if why := await self._ask_for(claim, size):
                self._grants.take_back(uid, bound)
                return Wait("ClaimRefused", why)
            await self._grow(uid, claim, size)
        return await self._bind(claim, max(size, bound)) or claim

    async def _grow(self, uid: str, claim: Manifest, size: int) -> None:
        base = self._images.disks().get(fields.annotations_of(claim).get(names.BASE_IMAGE, ""))
        await asyncio.to_thread(self._disks.grow, uid, size, base=base)

    async def _ask_for(self, claim: Manifest, size: int) -> str:
        """Have a claim ask for as much as its disk is to have, so that quotas count it; return why it may not."""
        try:
            await self._writer.patch(kinds.PERSISTENT_VOLUME_CLAIM, claim, requesting(size))
        except (Forbidden, Invalid) as error:
            # Whatever refuses it: what a claim does not ask for, no quota counts.
            return error.message
        return ""

    def _grant(self, uid: str, size: int) -> bool:
        return self._grants.grant(uid, size, self._disks.space(), overcommit=self._site.value.site.disk_overcommit)

    async def _bind_image(self, claim: Manifest) -> None:
        image = self._sources.image(image_of(claim) or "")
        if image is None:
            return
        # Clients show no capacity of a claim without it.
        if not claim["spec"].get("volumeName"):
            named = {"spec": {"volumeName": f"image-{claim['metadata']['uid']}"}}
            claim = await self._writer.patch(kinds.PERSISTENT_VOLUME_CLAIM, claim, named) or claim
        await self._bind(claim, image.virtual_size)

    async def _look_for_maker(self, claim: Manifest) -> float | None:
        """Say where nobody makes an image any more whose claim tells how far it is, and when to look again."""
        if progress_of(claim) == names.IMAGE_ABANDONED:
            return None
        if self._images.is_being_made(claim["metadata"]["name"]):
            return _MAKER_SECONDS
        # Of an image that is there, nothing is missing: only the attempt to make it anew is over.
        told = None if image_of(claim) else names.IMAGE_ABANDONED
        if told:
            status = abandoned_status(claim, now=time.time())
            await self._writer.write_status(kinds.PERSISTENT_VOLUME_CLAIM, claim, status)
        patch = {"metadata": {"annotations": {names.IMAGE_PROGRESS: told}}}
        await self._writer.patch(kinds.PERSISTENT_VOLUME_CLAIM, claim, patch)
        return None

    async def _bind(self, claim: Manifest, size: int) -> Manifest | None:
        """Report a claim as bound."""
        if fields.status_of(claim).get("phase") == "Bound" and capacity_of(claim) == size:
            return claim
        return await self._writer.write_status(kinds.PERSISTENT_VOLUME_CLAIM, claim, bound_status(claim, size))

    async def _report(self, volume: Manifest, wait: Wait | None, capacity: int | None) -> None:
        if wait is not None and wait.reason != (condition_of(volume, "Ready") or {}).get("reason"):
            _logger.warning("%s/%s: %s: %s", *key_of(volume), wait.reason, wait.message)
        told = partly_applied(DATA_VOLUME, volume, served=served_classes(self._site.value.site.storage_classes))
        share = self._copies.share(volume["metadata"]["uid"])
        wanted = status_of(volume, wait, capacity=capacity, share=share, partly_applied=told, now=time.time())
        await self._writer.write_status(kinds.DATA_VOLUME, volume, wanted)
