"""Who owns what the node gives: judged here, from the objects that live in the API, and nowhere else.

The judgement of one object and the one it names as its owner is `plan.ownership`'s, which the operator has too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.kube import kinds
from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import key_of
from virtualserver.plan.ownership import VIRTUAL_SERVER, claimed_owner, living_owner

if TYPE_CHECKING:
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest

__all__ = ["is_leaving", "is_made_by", "living_owners", "look_for_owners", "owner_of", "server_of"]

_OWNERS: Final = (VIRTUAL_SERVER, kinds.VIRTUAL_MACHINE, kinds.VIRTUAL_MACHINE_INSTANCE, kinds.SERVICE)
"""The kinds whose objects own something that is recorded."""


def owner_of(cache: Cache, manifest: Manifest) -> str:
    """Return the UID under which is recorded what the node gives on behalf of an object.

    It is that of the VirtualServer at the end of the chain of living owners, else that of the last object before it:
    so what a server has stays when its VirtualMachine, or its VMI, is made anew.
    """
    return _root(cache, manifest)["metadata"]["uid"]


def server_of(cache: Cache, manifest: Manifest) -> str | None:
    """Return the UID of the living VirtualServer that an object belongs to, None where it belongs to none."""
    root = _root(cache, manifest)
    return root["metadata"]["uid"] if root["kind"] == VIRTUAL_SERVER.kind else None


def is_made_by(maker: Manifest, child: Manifest) -> bool:
    """Return whether this very object made another: it lives, the other names it, and has a name that it gives."""
    return living_owner(child, lambda _, key: maker if key == key_of(maker) else None) is not None


def is_leaving(cache: Cache, manifest: Manifest) -> bool:
    """Return whether an object is being deleted, or will be: the owner that it names is gone."""
    is_orphan = claimed_owner(manifest) is not None and living_owner(manifest, cache.get) is None
    return is_orphan or bool(manifest["metadata"].get("deletionTimestamp"))


def living_owners(cache: Cache) -> set[str]:
    """Return the UIDs of all objects that may own something; the cache is synced."""
    return {manifest["metadata"]["uid"] for kind in _OWNERS for manifest in cache.all(kind)}


async def look_for_owners(cache: Cache, client: Client, manifest: Manifest) -> None:
    """Make sure that the cache knows the owners which an object refers to, if they exist.

    The cache follows each kind by itself: an object may be seen before its owner, which is older.
    """
    child = manifest
    while (claimed := claimed_owner(child)) is not None:
        resource, (namespace, name) = claimed
        owner = living_owner(child, cache.get)
        if owner is None:
            try:
                owner = cache.remember(resource, await client.get(resource, name, namespace=namespace))
            except NotFound:
                return
        child = owner


def _root(cache: Cache, manifest: Manifest) -> Manifest:
    while (owner := living_owner(manifest, cache.get)) is not None:
        manifest = owner
    return manifest
