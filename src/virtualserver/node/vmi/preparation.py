"""Everything that a machine needs before QEMU starts: disks, links, memory, seed; a wait has its reason."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING

from virtualserver.fabric.desired.state import VpcLink
from virtualserver.kube import kinds
from virtualserver.kube.conditions import condition_of
from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import Key, Manifest, key_of
from virtualserver.machines import memory
from virtualserver.machines.spec import Disk, MachineSpec, Nic
from virtualserver.node.ownership import look_for_owners, owner_of
from virtualserver.node.vmi import specification
from virtualserver.node.vmi.links import claimant_of
from virtualserver.node.volumes.controller import CLAIM_NOT_FOUND
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from virtualserver.fabric.desired.state import Link
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.client import Client
    from virtualserver.machines.accelerator import Accelerator, AcceleratorName
    from virtualserver.node.allocation.nics import Nics
    from virtualserver.node.held import Held
    from virtualserver.node.vmi.disks import DiskWish
    from virtualserver.node.vmi.links import Links
    from virtualserver.node.vmi.seeds import Seeds
    from virtualserver.node.vmi.specification import MachineWish
    from virtualserver.node.volumes.controller import DiskFile, VolumeController

__all__ = ["Preparation", "Prepared"]


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A machine that can start.

    Attributes:
        spec: For the hypervisor.
        links: Of its NICs, by name, in the guest's order.
        disks: Identifiers of the disks that it opens, and whether its guest writes to each.
        paused: Whether its guest stands still at first.
    """

    spec: MachineSpec
    links: Mapping[str, Link]
    disks: Mapping[str, bool]
    paused: bool = False


class Preparation:
    """Collects what one machine needs."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        held: Held,
        nics: Nics,
        volumes: VolumeController,
        links: Links,
        seeds: Seeds,
        accelerator: Callable[[], Awaitable[Accelerator]],
    ) -> None:
        """Name where it collects.

        Args:
            client: Looks for an owner, or a DataVolume, that the cache has not seen yet.
            cache: What the API has.
            held: The memory that is in use.
            nics: Gives user numbers.
            volumes: Has the disks.
            links: Says what links the NICs have.
            seeds: Writes cloud-init seeds.
            accelerator: Returns how guests run here, which is looked at before each start.
        """
        self._client = client
        self._cache = cache
        self._held = held
        self._nics = nics
        self._volumes = volumes
        self._links = links
        self._seeds = seeds
        self._accelerator = accelerator

    async def prepare(self, vmi: Manifest) -> Prepared | Wait:
        """Return the machine, ready to be launched, or what it waits for.

        Raises:
            SeedError: Its seed cannot be written.
        """
        try:
            wish = specification.wish_of(vmi)
        except specification.Unsupported as error:
            return Wait("NotSupportedYet", str(error))
        found = await self._find_disks(vmi, wish)
        if isinstance(found, Wait):
            return found
        await look_for_owners(self._cache, self._client, vmi)
        accelerator = (await self._accelerator()).name
        # Numbers, addresses and files are for machines that may start: one that never does would keep them from others.
        if wait := self._disk_in_use(vmi, found) or self._shortage(vmi, wish, accelerator):
            return wait
        owner = owner_of(self._cache, vmi)
        user = self._nics.user(owner, claimant_of(vmi))
        if isinstance(user, Wait):
            return user
        links = self._links.of(vmi, wish.nics, owner=owner)
        if isinstance(links, Wait):
            return links
        seed = None
        if wish.cloud_init is not None:
            seed = await self._seeds.write(vmi, wish.cloud_init, owner=owner, user=user)
            if isinstance(seed, Wait):
                return seed
        spec = self._spec(vmi, wish, found, user, links, seed, accelerator)
        # Nothing is awaited from here until the disks are held, so nobody else takes one meanwhile.
        if rival := self._disk_in_use(vmi, found):
            self._seeds.remove(vmi["metadata"]["uid"])
            return rival
        _hand_over([file for _, file in found], user)
        return Prepared(spec, links, self._volumes.identifiers_of(spec.disks), wish.paused)

    async def _find_disks(self, vmi: Manifest, wish: MachineWish) -> list[tuple[DiskWish, DiskFile]] | Wait:
        found: list[tuple[DiskWish, DiskFile]] = []
        # Of what a VMI says already that there is none, the watch tells.
        is_told = (condition_of(vmi, "Synchronized") or {}).get("reason") == CLAIM_NOT_FOUND
        for disk in wish.disks:
            key = vmi["metadata"]["namespace"], disk.claim
            if not is_told:
                await self._look_for_volume(key)
            await self._volumes.grow(key)
            file = self._volumes.find(key)
            if isinstance(file, Wait):
                return file
            found.append((disk, file))
        return found

    async def _look_for_volume(self, key: Key) -> None:
        """Make sure that the cache knows a DataVolume, if it exists: of two kinds it may see the older object later."""
        if any(self._cache.get(kind, key) for kind in (kinds.DATA_VOLUME, kinds.PERSISTENT_VOLUME_CLAIM)):
            return
        with contextlib.suppress(NotFound):
            volume = await self._client.get(kinds.DATA_VOLUME, key[1], namespace=key[0])
            self._cache.remember(kinds.DATA_VOLUME, volume)

    def _disk_in_use(self, vmi: Manifest, found: list[tuple[DiskWish, DiskFile]]) -> Wait | None:
        """Return why a disk must not be handed over: its file would be another user's while a machine writes to it."""
        identifiers = self._volumes.identifiers_of(_disk(*one) for one in found)
        for disk, file in found:
            if file.identifier is None:
                continue
            rival = self._held.rival(vmi["metadata"]["uid"], file.identifier, writes=identifiers[file.identifier])
            if rival is not None:
                message = (
                    f"spec.volumes[{disk.name}]: the disk of {disk.claim} is in use by VirtualMachine {rival[1]}: vs "
                    f"stop {rival[1]}, or give this one a disk of its own"
                )
                return Wait("DiskInUse", message)
        return None

    def _shortage(self, vmi: Manifest, wish: MachineWish, accelerator: AcceleratorName) -> Wait | None:
        name = f"Server {'/'.join(key_of(vmi))}"
        message = memory.excess(name, wish.memory_bytes, accelerator=accelerator, total=memory.total_bytes())
        if message:
            return Wait("MemoryExceedsMachine", message)
        message = memory.fault(
            name,
            wish.memory_bytes,
            accelerator=accelerator,
            available=memory.available_bytes(),
            admitted=self._held.footprints(),
        )
        return Wait("InsufficientMemory", message) if message else None

    def _spec(
        self,
        vmi: Manifest,
        wish: MachineWish,
        found: list[tuple[DiskWish, DiskFile]],
        user: int,
        links: Mapping[str, Link],
        seed: Path | None,
        accelerator: AcceleratorName,
    ) -> MachineSpec:
        return MachineSpec(
            identifier=vmi["metadata"]["uid"],
            name="/".join(key_of(vmi)),
            cpus=wish.cpus,
            memory_bytes=wish.memory_bytes,
            accelerator=accelerator,
            user=user,
            disks=tuple(_disk(*one) for one in found),
            nics=tuple(
                Nic(device=link.device, mac=link.mac, mtu=link.mtu if isinstance(link, VpcLink) else None)
                for link in links.values()
            ),
            kernel=found[0][1].kernel if found else None,
            seed=seed,
            uefi=wish.uefi,
            uuid=wish.uuid,
            serial=wish.serial,
            virtio_transitional=wish.virtio_transitional,
        )


def _disk(wish: DiskWish, file: DiskFile) -> Disk:
    return Disk(
        path=file.path,
        format="qcow2",
        name=wish.name,
        read_only=wish.read_only,
        serial=wish.serial,
        ephemeral=wish.source == "ephemeral",
    )


def _hand_over(files: list[DiskFile], user: int) -> None:
    """Give the machine's user the disks that are its own."""
    for file in files:
        if file.identifier is not None:
            os.chown(file.path, user, user)
