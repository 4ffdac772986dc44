"""Everything that a machine needs before QEMU starts: disks, addresses, memory, seed; a wait has its reason."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from virtualserver.api.mac import derive
from virtualserver.fabric.desired.state import Address, GuestLink, Resolver
from virtualserver.kube import fields, kinds
from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import Key, Manifest, key_of, owner_uid
from virtualserver.machines import memory
from virtualserver.machines.hypervisor import Disk, MachineSpec, Nic
from virtualserver.machines.seed import write_seed
from virtualserver.node.services import rules
from virtualserver.node.services.controller import Services, attached_service
from virtualserver.node.vmi import links, resolver, specification
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from virtualserver.machines.accelerator import Accelerator
    from virtualserver.machines.memory import Footprint
    from virtualserver.node.allocation.addresses import Addresses
    from virtualserver.node.observed import Observed
    from virtualserver.node.vmi.specification import MachineWish
    from virtualserver.node.volumes.controller import DiskFile, Volumes

__all__ = ["Preparation", "Prepared", "host_resolver"]

_RESOLV_CONFS: Final = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
_MOVE_SECONDS: Final = 0.2
"""How long the data plane takes to give an address up, with plenty to spare."""

_INSTANCE_ID: Final = uuid.UUID("9cb3a6ac-7d41-4b5c-b3f7-0f6a4a1c8f1e")
"""Names the space of our cloud-init instance identifiers."""


def host_resolver() -> Resolver:
    """Return what the host itself asks about names."""
    found = Resolver((), ())
    for path in _RESOLV_CONFS:
        try:
            found = resolver.parse_resolv_conf(Path(path).read_text())
        except OSError:
            continue
        if found.nameservers:
            break
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A machine that can start.

    Attributes:
        spec: For the hypervisor.
        link: Of the cluster NIC, None where it has none.
        disks: Identifiers of the disks that it opens.
    """

    spec: MachineSpec
    link: GuestLink | None
    disks: frozenset[str]


class Preparation:
    """Collects what one machine needs."""

    def __init__(
        self,
        observed: Observed,
        addresses: Addresses,
        services: Services,
        volumes: Volumes,
        *,
        accelerator: Accelerator,
        seeds: Path,
        footprints: Callable[[], Iterable[Footprint]],
    ) -> None:
        self._observed = observed
        self._addresses = addresses
        self._services = services
        self._volumes = volumes
        self._accelerator = accelerator
        self._seeds = seeds
        self._footprints = footprints

    def owner_of(self, vmi: Manifest) -> str:
        """Return the UID under which what an instance holds is recorded: its VirtualServer's, where it has one."""
        vm = self._observed.get(kinds.VIRTUAL_MACHINE, key_of(vmi))
        uid = owner_uid(vmi)
        if vm is not None and vm["metadata"]["uid"] == uid:
            return owner_uid(vm) or vm["metadata"]["uid"]
        return uid or vmi["metadata"]["uid"]

    def seed(self, identifier: str) -> Path:
        """Return where an instance's cloud-init seed lies."""
        return self._seeds / f"{identifier}.iso"

    def link_of(self, vmi: Manifest) -> GuestLink | Wait | None:
        """Return the link that a running instance's cluster NIC has, None where it has none.

        Its addresses are those that the guest was started with, whatever became of its Service since.
        """
        wish = specification.wish_of(vmi)
        return self._link(vmi, wish, has=rules.addresses_of(vmi)) if wish.has_nic else None

    async def prepare(self, vmi: Manifest) -> Prepared | Wait:
        """Return the machine, ready to be launched, or what it waits for."""
        try:
            wish = specification.wish_of(vmi)
        except specification.Unsupported as error:
            return Wait("NotSupportedYet", str(error))
        namespace = vmi["metadata"]["namespace"]
        found: list[tuple[specification.DiskWish, DiskFile]] = []
        for disk in wish.disks:
            await self._volumes.grow((namespace, disk.claim))
            root = self._volumes.find((namespace, disk.claim))
            if isinstance(root, Wait):
                return root
            found.append((disk, root))
        user = self._addresses.user(self.owner_of(vmi))
        if isinstance(user, Wait):
            return user
        link = self._link(vmi, wish) if wish.has_nic else None
        if isinstance(link, Wait):
            return link
        name = "/".join(key_of(vmi))
        if message := memory.fault(
            f"Server {name}",
            wish.memory_bytes,
            accelerator=self._accelerator.name,
            available=memory.available_bytes(),
            admitted=self._footprints(),
        ):
            return Wait("InsufficientMemory", message)
        seed = await self._write_seed(vmi, wish, user)
        if isinstance(seed, Wait):
            return seed
        identifiers = self._hand_over(namespace, found, user)
        return Prepared(self._spec(vmi, wish, found, user, link, seed), link, identifiers)

    def _link(self, vmi: Manifest, wish: MachineWish, *, has: tuple[Address, ...] = ()) -> GuestLink | Wait:
        owner, namespace = self.owner_of(vmi), vmi["metadata"]["namespace"]
        user = self._addresses.user(owner)
        if isinstance(user, Wait):
            return user
        mac = self._addresses.mac(owner, wish.mac or derive(owner))
        if isinstance(mac, Wait):
            return mac
        attached = attached_service(vmi)
        addresses = has or (self._attached((namespace, attached)) if attached else self._addresses.guest(owner))
        if isinstance(addresses, Wait):
            return addresses
        return links.guest_link(
            vmi,
            device=self._addresses.tap(owner),
            mac=mac,
            user=user,
            addresses=addresses,
            is_attached=attached is not None,
            resolver=resolver.resolver_of(vmi["spec"], namespace=namespace, host=host_resolver()),
        )

    def _attached(self, key: Key) -> tuple[Address, ...] | Wait:
        granted = self._services.granted(key)
        if isinstance(granted, Wait):
            return Wait("WaitingForAddress", granted.message)
        if self._services.is_announced(granted):
            # The data plane must stop to answer for the address before the guest does.
            self._services.controller.queue.add(key)
            message = f"{', '.join(map(str, granted))} is about to move to the guest"
            return Wait("WaitingForAddress", message, retry_seconds=_MOVE_SECONDS)
        return granted

    def _hand_over(
        self, namespace: str, found: list[tuple[specification.DiskWish, DiskFile]], user: int
    ) -> frozenset[str]:
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
                secret = await self._observed.client.get(kinds.SECRET, cloud_init.secret, namespace=namespace)
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
        found: list[tuple[specification.DiskWish, DiskFile]],
        user: int,
        link: GuestLink | None,
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
            nics=(Nic(device=link.device, mac=link.mac),) if link else (),
            kernel=found[0][1].kernel if found else None,
            seed=seed,
            uefi=wish.uefi,
            uuid=wish.uuid,
            serial=wish.serial,
            virtio_transitional=wish.virtio_transitional,
        )
