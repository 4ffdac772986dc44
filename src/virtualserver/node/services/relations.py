"""Which Services and VMIs concern each other, as the cache knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.kube.conditions import is_true
from virtualserver.kube.objects import Key, Manifest, key_of
from virtualserver.node.objects import attached_service, is_final, selects

if TYPE_CHECKING:
    from virtualserver.kube.cache import Cache

__all__ = ["members_of", "services_of", "waiting_vmis"]


def services_of(cache: Cache, vmi: Manifest) -> list[Key]:
    """Return the Services that select a VMI, or whose address is on its NIC."""
    attached = attached_service(vmi)
    return [
        key_of(service)
        for service in cache.in_namespace(kinds.SERVICE, vmi["metadata"]["namespace"])
        if selects(service, vmi) or service["metadata"]["name"] == attached
    ]


def members_of(cache: Cache, service: Manifest) -> list[Manifest]:
    """Return the VMIs that a Service selects."""
    vmis = cache.in_namespace(kinds.VIRTUAL_MACHINE_INSTANCE, service["metadata"]["namespace"])
    return [vmi for vmi in vmis if selects(service, vmi)]


def waiting_vmis(cache: Cache, service: Manifest) -> list[Key]:
    """Return the VMIs that a Service concerns and that may wait for its address, or for its ports."""
    namespace, name = key_of(service)
    return [
        key_of(vmi)
        for vmi in cache.in_namespace(kinds.VIRTUAL_MACHINE_INSTANCE, namespace)
        if not is_final(vmi) and not is_true(vmi, names.DATA_PLANE_READY)
        if selects(service, vmi) or attached_service(vmi) == name
    ]
