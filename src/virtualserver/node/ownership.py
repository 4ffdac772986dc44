"""Who owns what the node gives: judged here, from the objects that the cache knows, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.kube import kinds
from virtualserver.kube.objects import key_of, owner_uid

if TYPE_CHECKING:
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Manifest

__all__ = ["living_owners", "owner_of"]

_OWNERS: Final = (kinds.VIRTUAL_MACHINE, kinds.VIRTUAL_MACHINE_INSTANCE, kinds.SERVICE, kinds.DATA_VOLUME)
"""The kinds whose objects, or whose objects' controllers, own something."""


def owner_of(cache: Cache, vmi: Manifest) -> str:
    """Return the UID under which what a VMI holds is recorded.

    Its VirtualServer's, where it has one, else its VirtualMachine's: so an address stays when the VMI is made anew.
    """
    vm = cache.get(kinds.VIRTUAL_MACHINE, key_of(vmi))
    uid = owner_uid(vmi)
    if vm is not None and vm["metadata"]["uid"] == uid:
        return owner_uid(vm) or vm["metadata"]["uid"]
    return uid or vmi["metadata"]["uid"]


def living_owners(cache: Cache) -> set[str]:
    """Return the UIDs of all objects that may own something, and of their controllers; the cache is synced."""
    alive: set[str] = set()
    for kind in _OWNERS:
        for manifest in cache.all(kind):
            alive |= {manifest["metadata"]["uid"], owner_uid(manifest) or ""}
    return alive
