"""Who asked for a MAC address first, from the objects that live.

A MAC is recorded when its machine starts. What a stopped machine, or a server whose machine is not made yet, names as
its own is not free before: another tenant's machine that starts first does not get it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api.mac import canonical
from virtualserver.kube import fields, kinds
from virtualserver.kube.objects import age_of
from virtualserver.node.ownership import owner_of
from virtualserver.plan.ownership import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Manifest

__all__ = ["BY_MAC", "of_machine", "of_server", "older_claim"]

BY_MAC: Final = "mac"
"""Index of VirtualServers and VirtualMachines: the MAC addresses that each names."""


def of_server(server: Manifest) -> Iterable[str]:
    """Return the MAC address that a VirtualServer names, as an index has it."""
    given = fields.mapping(server, "spec", "network").get("macAddress")
    return (canonical(str(given)),) if given else ()


def of_machine(vm: Manifest) -> Iterable[str]:
    """Return the MAC addresses that a VirtualMachine names, as an index has them."""
    interfaces = fields.items(vm, "spec", "template", "spec", "domain", "devices", "interfaces")
    return {canonical(str(one["macAddress"])) for one in interfaces if one.get("macAddress")}


def older_claim(cache: Cache, vmi: Manifest, mac: str, owner: str) -> Manifest | None:
    """Return an object that asked for a MAC before a VMI's owner did, None where there is none.

    Args:
        cache: With the index.
        vmi: The VMI.
        mac: In lower case with colons.
        owner: On whose behalf the VMI starts.
    """
    named = [found for kind in (VIRTUAL_SERVER, kinds.VIRTUAL_MACHINE) for found in cache.by_index(kind, BY_MAC, mac)]
    others = [found for found in named if owner_of(cache, found) != owner]
    own = [vmi, *(found for found in named if owner_of(cache, found) == owner)]
    return next((one for one in sorted(others, key=age_of) if age_of(one) < min(map(age_of, own))), None)
