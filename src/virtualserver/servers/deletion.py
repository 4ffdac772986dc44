"""What goes with a server when it is deleted, and what stays; and its deletion."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import controller_of, owner_uid
from virtualserver.plan.ownership import VIRTUAL_SERVER
from virtualserver.servers.errors import UnfinishedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.host.progress import Update
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource
    from virtualserver.servers.access import ApiAccess

__all__ = ["Fate", "delete", "fate_of", "look"]

_LOOK_SECONDS: Final = 0.3
_KEEP_SECONDS: Final = 30.0
"""How long the operator may take to let a disk go; it takes a fraction of a second."""
_FIELD_MANAGER: Final = "vs"


@dataclasses.dataclass(frozen=True, slots=True)
class Fate:
    """What a server's deletion means.

    Attributes:
        name: The server's.
        namespace: The server's.
        uid: The server's: another one that has its name by then is not deleted.
        disk: How large its root disk is, such as ``8Gi``; ``""`` where it has none.
        keeps_disk: Whether the disk stays, as things are.
        addresses: Load balancer addresses that go back to their pools.
        services: Services of others whose addresses the server has, and which stay.
    """

    name: str
    namespace: str
    uid: str
    disk: str
    keeps_disk: bool
    addresses: tuple[str, ...]
    services: tuple[str, ...]


def fate_of(server: Manifest, volume: Manifest | None, claim: Manifest | None, services: Iterable[Manifest]) -> Fate:
    """Return what a server's deletion means: pure.

    Args:
        server: The VirtualServer.
        volume: The DataVolume of its name, None where there is none.
        claim: The claim of that, None where there is none.
        services: Those of its namespace.
    """
    metadata = server["metadata"]
    own = [service for service in services if owner_uid(service) == metadata["uid"]]
    asked = fields.mapping(volume or {}, "spec", "storage", "resources", "requests").get("storage")
    size = fields.mapping(claim or {}, "status", "capacity").get("storage") or asked or "of unknown size"
    addresses = (address for service in own for address in fields.load_balancer_addresses(service))
    floating = fields.mapping(server, "status", "network", "floatingIPs")
    return Fate(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        disk="" if volume is None else str(size),
        keeps_disk=volume is not None and owner_uid(volume) != metadata["uid"],
        addresses=tuple(dict.fromkeys(addresses)),
        services=tuple(sorted(set(floating) - {service["metadata"]["name"] for service in own})),
    )


async def look(access: ApiAccess, name: str) -> Fate:
    """Return what deleting a server would mean now; nothing is changed.

    Raises:
        MissingServerError: There is no such server.
    """
    async with access.client() as client:
        server = await access.server(client, name)
        return fate_of(
            server,
            await _find(client, kinds.DATA_VOLUME, access.namespace, name),
            await _find(client, kinds.PERSISTENT_VOLUME_CLAIM, access.namespace, name),
            await client.list(kinds.SERVICE, namespace=access.namespace),
        )


async def delete(access: ApiAccess, fate: Fate, *, keep_disk: bool, seconds: float | None, update: Update) -> None:
    """Delete a server, and wait until its guest has shut down and its machine is gone.

    Args:
        access: Of the caller.
        fate: What `look` returned for it.
        keep_disk: Keep the disk that would go, for the next server of this name.
        seconds: How long to wait at most; None: not at all.
        update: Is told what is waited for.

    Raises:
        UnfinishedError: The operator does not let the disk go, so nothing was deleted; or the guest still shuts down.
    """
    async with access.client() as client:
        if keep_disk and fate.disk and not fate.keeps_disk:
            await _keep(client, access, fate, update)
        await client.delete(VIRTUAL_SERVER, fate.name, namespace=fate.namespace, uid=fate.uid)
        if seconds is not None:
            await _wait_gone(client, access, fate, seconds=seconds, update=update)


async def _keep(client: Client, access: ApiAccess, fate: Fate, update: Update) -> None:
    """Have the operator let go of a disk; only then may its server be deleted."""
    wish = {"metadata": {"uid": fate.uid, "annotations": {names.KEEP_DISK: "true"}}}
    await client.patch(VIRTUAL_SERVER, fate.name, wish, namespace=fate.namespace, field_manager=_FIELD_MANAGER)
    end = time.monotonic() + _KEEP_SECONDS
    update("its disk is being set aside", None)
    while True:
        volume = await _find(client, kinds.DATA_VOLUME, fate.namespace, fate.name)
        if volume is None or (controller_of(volume) is None and names.KEPT_FOR in fields.annotations_of(volume)):
            return
        if time.monotonic() >= end:
            message = f"nothing was deleted: the operator has not set the disk aside in {_KEEP_SECONDS:.0f} s."
            raise UnfinishedError(message, remedy=f"See why: {access.command('show', fate.name)}")
        await asyncio.sleep(_LOOK_SECONDS)


async def _wait_gone(client: Client, access: ApiAccess, fate: Fate, *, seconds: float, update: Update) -> None:
    end = time.monotonic() + seconds
    while True:
        machine = await _find(client, kinds.VIRTUAL_MACHINE, fate.namespace, fate.name)
        # The machine goes at once, and the instance when its guest has shut down.
        instance = await _find(client, kinds.VIRTUAL_MACHINE_INSTANCE, fate.namespace, fate.name)
        is_there = machine is not None and owner_uid(machine) == fate.uid
        if not is_there and (instance is None or fields.labels_of(instance).get(names.UID) != fate.uid):
            return
        update("the guest shuts down", None)
        if time.monotonic() >= end:
            raise UnfinishedError(
                f"{fate.name} is deleted, and its guest still shuts down after {seconds:.0f} s.",
                remedy=f"It goes on by itself: kubectl get vmi {fate.name}{access.where}",
            )
        await asyncio.sleep(_LOOK_SECONDS)


async def _find(client: Client, resource: Resource, namespace: str, name: str) -> Manifest | None:
    try:
        return await client.get(resource, name, namespace=namespace)
    except NotFound:
        return None
