"""Which server a Service's address floats to, as the cache knows it: by a claim that a living server stands behind.

Whoever may write an EndpointSlice may write one that looks like a claim. So a claim counts only where the VirtualServer
that it names lives and names the Service, or an address of it, itself; and its guest's address is never read from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from virtualserver.kube import fields, kinds
from virtualserver.kube.objects import key_of
from virtualserver.node.ownership import server_of
from virtualserver.plan.floating import places
from virtualserver.plan.ownership import SERVICE_NAME, VIRTUAL_SERVER, claim_name, living_owner

if TYPE_CHECKING:
    from collections.abc import Collection

    from virtualserver.fabric.desired.state import Address
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Key, Manifest

__all__ = ["Floats", "claim_of", "claimant", "claimed_by", "guest_of"]


class Floats(NamedTuple):
    """Where the addresses of a Service float to.

    Attributes:
        server: The VirtualServer.
        vmi: Its VMI; None while there is none.
        addresses: Those that the VMI's cluster NIC has in the data plane; none while it does not run.
        is_source: Whether what the guest sends to the outside leaves with them.
        services: Those, of the Services that share the addresses, by which they float; the others publish ports.
    """

    server: Manifest
    vmi: Manifest | None
    addresses: tuple[Address, ...] = ()
    is_source: bool = False
    services: tuple[Manifest, ...] = ()


def claimed_by(cache: Cache, server: str) -> list[Key]:
    """Return the keys of the Services that a VirtualServer claims, by its UID; a claim need not count."""
    slices = cache.by_index(kinds.ENDPOINT_SLICE, "owner", server)
    found = ((one["metadata"]["namespace"], fields.labels_of(one).get(SERVICE_NAME, "")) for one in slices)
    return [key for key in found if key[1]]


def claim_of(service: Manifest) -> Key:
    """Return the key of the claim to a Service's address, which may not exist."""
    namespace, name = key_of(service)
    return namespace, claim_name(name)


def claimant(cache: Cache, service: Manifest, addresses: Collection[Address]) -> Manifest | None:
    """Return the VirtualServer that has a Service's addresses as floating ones, None for none.

    Args:
        cache: What the API has.
        service: The Service.
        addresses: What it was granted.
    """
    claim = cache.get(kinds.ENDPOINT_SLICE, claim_of(service))
    if claim is None or claim["metadata"].get("deletionTimestamp"):
        return None
    server = living_owner(claim, cache.get)
    if server is None or server["kind"] != VIRTUAL_SERVER.kind:
        return None
    made_for = server_of(cache, service)
    if made_for not in (None, server["metadata"]["uid"]):
        return None
    return server if places(server, service, addresses) else None


def guest_of(cache: Cache, server: Manifest) -> Manifest | None:
    """Return the VMI of a VirtualServer, None where there is none that is its own."""
    vmi = cache.get(kinds.VIRTUAL_MACHINE_INSTANCE, key_of(server))
    return vmi if vmi is not None and server_of(cache, vmi) == server["metadata"]["uid"] else None
