"""Cloud-init seeds: the small disk by which a guest is told who it is, one for each VMI that asks for it."""

from __future__ import annotations

import asyncio
import base64
import uuid
from typing import TYPE_CHECKING, Final

import msgspec

from virtualserver.kube import fields, kinds
from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import key_of
from virtualserver.machines.seed import remove_unfinished, write_seed
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest
    from virtualserver.node.vmi.disks import CloudInit

__all__ = ["Seeds"]

_INSTANCE_ID: Final = uuid.UUID("9cb3a6ac-7d41-4b5c-b3f7-0f6a4a1c8f1e")
"""Names the space of our cloud-init instance identifiers."""


class Seeds:
    """A folder of seeds."""

    def __init__(self, client: Client, folder: Path) -> None:
        """Name where user data come from and go to.

        Args:
            client: Reads Secrets, which no cache follows.
            folder: Exists; machines' users can enter it.
        """
        self._client = client
        self._folder = folder

    async def write(self, vmi: Manifest, cloud_init: CloudInit, *, owner: str, user: int) -> Path | Wait:
        """Write the seed of a VMI and return its file, or what it waits for.

        Args:
            vmi: The VMI.
            cloud_init: What it asks for.
            owner: Whom the guest belongs to: as long as that stays the same, cloud-init does not begin anew.
            user: UID that may read the file.
        """
        namespace, name = key_of(vmi)
        user_data = await self._user_data(cloud_init, namespace)
        if isinstance(user_data, Wait):
            return user_data
        network_data = await self._network_data(cloud_init, namespace)
        if isinstance(network_data, Wait):
            return network_data
        meta_data = msgspec.json.encode(
            {
                "instance-id": str(uuid.uuid5(_INSTANCE_ID, owner)),
                "local-hostname": vmi["spec"].get("hostname") or name,
            }
        ).decode()
        path = self._path(vmi["metadata"]["uid"])
        await asyncio.to_thread(
            write_seed,
            path,
            user_data=user_data,
            meta_data=meta_data,
            network_config=network_data,
            user=user,
        )
        return path

    def remove_unfinished(self) -> None:
        """Remove what a killed node left half written; call it before the first seed is written."""
        remove_unfinished(self._folder)

    def remove(self, uid: str) -> None:
        """Remove the seed of a VMI; that there is none is no error."""
        self._path(uid).unlink(missing_ok=True)

    def _path(self, uid: str) -> Path:
        return self._folder / f"{uid}.iso"

    async def _user_data(self, cloud_init: CloudInit, namespace: str) -> str | bytes | Wait:
        if not cloud_init.secret:
            return cloud_init.user_data or ""
        return await self._content(cloud_init.secret, ("userdata", "userData"), namespace)

    async def _network_data(self, cloud_init: CloudInit, namespace: str) -> str | bytes | Wait | None:
        if not cloud_init.network_secret:
            return cloud_init.network_data
        return await self._content(cloud_init.network_secret, ("networkdata", "networkData"), namespace)

    async def _content(self, name: str, keys: tuple[str, str], namespace: str) -> bytes | Wait:
        """Return what a Secret has under one of two keys, text or not: cloud-init unpacks what is gzipped."""
        try:
            secret = await self._client.get(kinds.SECRET, name, namespace=namespace)
        except NotFound:
            return Wait("WaitingForSecret", f"Secret {namespace}/{name} does not exist yet")
        data = fields.mapping(secret, "data")
        encoded = data.get(keys[0]) or data.get(keys[1])
        if encoded is None:
            return Wait("WaitingForSecret", f"Secret {namespace}/{name} has no key {keys[0]}")
        return base64.b64decode(encoded)
