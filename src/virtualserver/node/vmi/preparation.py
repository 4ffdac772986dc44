"""Everything that a machine needs before QEMU starts: disks, addresses, memory, seed; a wait has its reason."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import os
import uuid
from typing import TYPE_CHECKING, Final

import msgspec

from virtualserver.api.mac import derive
from virtualserver.host import resolv_conf
from virtualserver.kube import fields, kinds
from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import Key, Manifest, key_of, owner_uid
from virtualserver.machines import memory
from virtualserver.machines.hypervisor import Disk, MachineSpec, Nic
from virtualserver.machines.seed import write_seed
from virtualserver.node.objects import addresses_of, attached_service
from virtualserver.node.vmi import links as guest_links
from virtualserver.node.vmi import resolver, specification
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from virtualserver.fabric.desired.state import Address, GuestLink
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.client import Client
    from virtualserver.machines.accelerator import Accelerator
    from virtualserver.node.allocation.addresses import Addresses
    from virtualserver.node.held import Held
    from virtualserver.node.queues import Queues
    from virtualserver.node.services.controller import ServiceController
    from virtualserver.node.vmi.specification import DiskWish, MachineWish, NicWish
    from virtualserver.node.volumes.controller import DiskFile, VolumeController

__all__ = ["Preparation", "Prepared"]

_MOVE_SECONDS: Final = 0.2
"""How long the data plane takes to give an address up, with plenty to spare."""

_INSTANCE_ID: Final = uuid.UUID("9cb3a6ac-7d41-4b5c-b3f7-0f6a4a1c8f1e")
"""Names the space of our cloud-init instance identifiers."""


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A machine that can start.

    Attributes:
        spec: For the hypervisor.
        links: Of its NICs, by name, in the guest's order.
        disks: Identifiers of the disks that it opens.
    """

    spec: MachineSpec
    links: Mapping[str, GuestLink]
    disks: frozenset[str]


class Preparation:
    """Collects what one machine needs."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        queues: Queues,
        held: Held,
        addresses: Addresses,
        services: ServiceController,
        volumes: VolumeController,
        *,
        accelerator: Accelerator,
        seeds: Path,
    ) -> None:
        """Name where it collects.

        Args:
            client: Reads Secrets, which the cache does not follow.
            cache: What else the API has.
            queues: A Service is looked at whose address is to move to a guest.
            held: The memory that is in use.
            addresses: Grants addresses, MACs, taps and user numbers.
            services: Grants load balancer addresses.
            volumes: Has the disks.
            accelerator: How guests run here.
            seeds: Folder of the cloud-init seeds.
        """
        self._client = client
        self._cache = cache
        self._queues = queues
        self._held = held
        self._addresses = addresses
        self._services = services
        self._volumes = volumes
        self._accelerator = accelerator
        self._seeds = seeds

    def owner_of(self, vmi: Manifest) -> str:
        """Return the UID under which what a VMI holds is recorded: its VirtualServer's, where it has one."""
        vm = self._cache.get(kinds.VIRTUAL_MACHINE, key_of(vmi))
        uid = owner_uid(vmi)
        if vm is not None and vm["metadata"]["uid"] == uid:
            return owner_uid(vm) or vm["metadata"]["uid"]
        return uid or vmi["metadata"]["uid"]

    def seed(self, identifier: str) -> Path:
        """Return where a VMI's cloud-init seed lies."""
        return self._seeds / f"{identifier}.iso"

    def links_of(self, vmi: Manifest) -> Mapping[str, GuestLink] | Wait:
        """Return the links that a running VMI's NICs have, by name.

        Their addresses are those that the guest was started with, whatever became of its Service since.

        Raises:
            Unsupported: The VMI asks for something that this node does not do.
        """
        return self._links(vmi, specification.wish_of(vmi), has=addresses_of(vmi))

    async def prepare(self, vmi: Manifest) -> Prepared | Wait:
        """Return the machine, ready to be launched, or what it waits for."""
        try:
            wish = specification.wish_of(vmi)
        except specification.Unsupported as error:
            return Wait("NotSupportedYet", str(error))
        namespace = vmi["metadata"]["namespace"]
        found = await self._find_disks(namespace, wish)
        if isinstance(found, Wait):
            return found
        user = self._addresses.user(self.owner_of(vmi))
        if isinstance(user, Wait):
            return user
        links = self._links(vmi, wish)
        if isinstance(links, Wait):
            return links
        name = "/".join(key_of(vmi))
        if message := memory.fault(
            f"Server {name}",
            wish.memory_bytes,
            accelerator=self._accelerator.name,
            available=memory.available_bytes(),
            admitted=self._held.footprints(),
        ):
            return Wait("InsufficientMemory", message)
        seed = await self._write_seed(vmi, wish, user)
        if isinstance(seed, Wait):
            return seed
        identifiers = self._hand_over(namespace, found, user)
        return Prepared(self._spec(vmi, wish, found, user, links, seed), links, identifiers)

    async def _find_disks(self, namespace: str, wish: MachineWish) -> list[tuple[DiskWish, DiskFile]] | Wait:
        found: list[tuple[DiskWish, DiskFile]] = []
        for disk in wish.disks:
            await self._volumes.grow((namespace, disk.claim))
            file = self._volumes.find((namespace, disk.claim))
            if isinstance(file, Wait):
                return file
            found.append((disk, file))
        return found

    def _links(self, vmi: Manifest, wish: MachineWish, *, has: tuple[Address, ...] = ()) -> dict[str, GuestLink] | Wait:
        links: dict[str, GuestLink] = {}
        for nic in wish.nics:
            link = self._cluster_link(vmi, nic, has)
            if isinstance(link, Wait):
                return link
            links[nic.name] = link
        return links

    def _cluster_link(self, vmi: Manifest, nic: NicWish, has: tuple[Address, ...]) -> GuestLink | Wait:
        owner, namespace = self.owner_of(vmi), vmi["metadata"]["namespace"]
        user = self._addresses.user(owner)
        if isinstance(user, Wait):
            return user
        mac = self._addresses.mac(owner, nic.mac or derive(owner))
        if isinstance(mac, Wait):
            return mac
        attached = attached_service(vmi)
        addresses = has or (self._attached((namespace, attached)) if attached else self._addresses.guest(owner))
        if isinstance(addresses, Wait):
            return addresses
        return guest_links.guest_link(
            vmi,
            device=self._addresses.tap(owner),
            mac=mac,
            user=user,
            addresses=addresses,
            is_attached=attached is not None,
            resolver=resolver.resolver_of(vmi["spec"], namespace=namespace, host=resolv_conf.read()),
        )

    def _attached(self, key: Key) -> tuple[Address, ...] | Wait:
        granted = self._services.granted(key)
        if isinstance(granted, Wait):
            return Wait("WaitingForAddress", granted.message)
        if self._services.is_announced(granted):
            # The data plane must stop to answer for the address before the guest does.
            self._queues.services.add(key)
            message = f"{', '.join(map(str, granted))} is about to move to the guest"
            return Wait("WaitingForAddress", message, retry_seconds=_MOVE_SECONDS)
        return granted

    def _hand_over(self, namespace: str, found: list[tuple[DiskWish, DiskFile]], user: int) -> frozenset[str]:
        identifiers: set[str] = set()
        for disk, root in found:
            identifier = self._volumes.identifier_of((namespace, disk.claim))
            if identifier is not None:
                identifiers.add(identifier)
                os.chown(root.path, user, user)
        return frozenset(identifiers)

    async def _write_seed(self, vmi: Manifest, wish: MachineWish, user: int) -> Path | Wait | None:
        cloud_init = wish.cloud_init
        if cloud_init is None:
            return None
        namespace, name = key_of(vmi)
        user_data = cloud_init.user_data or ""
        if cloud_init.secret:
            try:
                secret = await self._client.get(kinds.SECRET, cloud_init.secret, namespace=namespace)
            except NotFound:
                return Wait("WaitingForSecret", f"Secret {namespace}/{cloud_init.secret} does not exist yet")
            data = fields.mapping(secret, "data")
            encoded = data.get("userdata") or data.get("userData")
            if encoded is None:
                return Wait("WaitingForSecret", f"Secret {namespace}/{cloud_init.secret} has no key userdata")
            user_data = base64.b64decode(encoded).decode()
        meta_data = msgspec.json.encode(
            {
                "instance-id": str(uuid.uuid5(_INSTANCE_ID, self.owner_of(vmi))),
                "local-hostname": vmi["spec"].get("hostname") or name,
            }
        ).decode()
        path = self.seed(vmi["metadata"]["uid"])
        await asyncio.to_thread(
            write_seed,
            path,
            user_data=user_data,
            meta_data=meta_data,
            network_config=cloud_init.network_data,
            user=user,
        )
        return path

    def _spec(
        self,
        vmi: Manifest,
        wish: MachineWish,
        found: list[tuple[DiskWish, DiskFile]],
        user: int,
        links: Mapping[str, GuestLink],
        seed: Path | None,
    ) -> MachineSpec:
        return MachineSpec(
            identifier=vmi["metadata"]["uid"],
            name="/".join(key_of(vmi)),
            cpus=wish.cpus,
            memory_bytes=wish.memory_bytes,
            accelerator=self._accelerator.name,
            user=user,
            disks=tuple(
                Disk(
                    path=root.path,
                    format="qcow2",
                    name=disk.name,
                    read_only=disk.read_only,
                    serial=disk.serial,
                    ephemeral=disk.source == "ephemeral",
                )
                for disk, root in found
            ),
            nics=tuple(Nic(device=link.device, mac=link.mac) for link in links.values()),
            kernel=found[0][1].kernel if found else None,
            seed=seed,
            uefi=wish.uefi,
            uuid=wish.uuid,
            serial=wish.serial,
            virtio_transitional=wish.virtio_transitional,
        )
