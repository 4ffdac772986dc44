"""Which Services and VMIs concern each other, as the cache knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import is_true
from virtualserver.kube.objects import Key, Manifest, key_of
from virtualserver.node.objects import attached_service, is_final
from virtualserver.node.ownership import is_made_by, server_of
from virtualserver.node.services import balancing, floating
from virtualserver.plan import labels
from virtualserver.plan.ownership import claimed_owner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.fabric.desired.state import Address
    from virtualserver.kube.cache import Cache
    from virtualserver.node.held import Held

__all__ = [
    "FOR_ANYBODY",
    "Labels",
    "addresses_on",
    "attached_addresses",
    "is_attached",
    "is_for_machines",
    "leads_to",
    "matches_nobody",
    "members_of",
    "namespace_of_users",
    "services_of",
    "services_selecting",
    "waiting_vmis",
]

FOR_ANYBODY: Final = "for anybody"
"""Index of the load balancer Services that lead to whom they select, by namespace."""


class Labels:
    """The labels by which Services find VMIs, each read once: for whoever looks at many Services of a namespace.

    Every Service of a namespace may select every machine of it, and a tenant may have thousands of both.
    """

    def __init__(self, cache: Cache) -> None:
        """Name what the API has."""
        self._cache = cache
        self._read: dict[str, tuple[Manifest, Manifest | None, dict[str, str]]] = {}

    def of(self, vmi: Manifest) -> dict[str, str]:
        """Return the labels of a VMI, as the cache has it and its machine now."""
        uid, vm = vmi["metadata"]["uid"], self._cache.get(kinds.VIRTUAL_MACHINE, key_of(vmi))
        read = self._read.get(uid)
        if read is None or read[0] is not vmi or read[1] is not vm:
            read = self._read[uid] = vmi, vm, labels.seen(vmi, vm if vm is not None and is_made_by(vm, vmi) else None)
        return read[2]


def namespace_of_users(service: Manifest) -> tuple[str, ...]:
    """Return what the index `FOR_ANYBODY` has of a Service."""
    is_selecting = bool(fields.mapping(service, "spec", "selector")) and claimed_owner(service) is None
    return (service["metadata"]["namespace"],) if is_selecting and balancing.wants_address(service) else ()


def services_selecting(cache: Cache, namespace: str, *seen: Mapping[str, str]) -> list[Key]:
    """Return the Services of a namespace that select any of these labels."""
    services = cache.in_namespace(kinds.SERVICE, namespace)
    return [key_of(service) for service in services if any(labels.selects(service, one) for one in seen)]


def services_of(cache: Cache, vmi: Manifest) -> list[Key]:
    """Return the Services that select a VMI, whose address is on its NIC, or that its server claims."""
    attached, seen = attached_service(vmi), Labels(cache).of(vmi)
    found = [
        key_of(service)
        for service in cache.in_namespace(kinds.SERVICE, vmi["metadata"]["namespace"])
        if labels.selects(service, seen) or service["metadata"]["name"] == attached
    ]
    return [*found, *_claimed_for(cache, vmi)]


def matches_nobody(cache: Cache, service: Manifest) -> bool:
    """Return whether no VirtualMachine of its namespace, running or not, is one that a user's load balancer selects."""
    return bool(namespace_of_users(service)) and not _matches_a_machine(cache, service)


def is_for_machines(cache: Cache, service: Manifest) -> bool:
    """Return whether a Service's selector matches a machine, running or not: its address floats to no server then."""
    return _matches_a_machine(cache, service) or bool(members_of(cache, service))


def _matches_a_machine(cache: Cache, service: Manifest) -> bool:
    """Return whether a Service's selector matches a VirtualMachine of its namespace, running or not."""
    if not _selects_machines(service):
        return False
    vms = cache.in_namespace(kinds.VIRTUAL_MACHINE, service["metadata"]["namespace"])
    return any(labels.selects(service, labels.of_vm(vm)) for vm in vms)


def members_of(cache: Cache, service: Manifest, seen: Labels | None = None) -> list[Manifest]:
    """Return the VMIs that a Service sends traffic to, as `leads_to` has it.

    Args:
        cache: What the API has.
        service: The Service.
        seen: The labels that were read for other Services; None: nobody has looked at others.
    """
    if not _selects_machines(service):
        return []
    seen = seen or Labels(cache)
    vmis = cache.in_namespace(kinds.VIRTUAL_MACHINE_INSTANCE, service["metadata"]["namespace"])
    return _led_to(cache, service, [vmi for vmi in vmis if labels.selects(service, seen.of(vmi))])


def leads_to(cache: Cache, service: Manifest, vmi: Manifest) -> bool:
    """Return whether a Service sends traffic to a VMI of its namespace.

    A Service that says that it belongs to a VirtualServer leads to that server's machine only, and to nobody before the
    server is known to live: anybody may give another machine its labels. Any other leads to whom it selects, but for
    one of type ExternalName, which is about another name.
    """
    is_selected = _selects_machines(service) and labels.selects(service, Labels(cache).of(vmi))
    return is_selected and bool(_led_to(cache, service, [vmi]))


def _led_to(cache: Cache, service: Manifest, selected: list[Manifest]) -> list[Manifest]:
    """Return the VMIs to which a Service may lead, of those that it selects."""
    if claimed_owner(service) is None:
        return selected
    server = server_of(cache, service)
    return [vmi for vmi in selected if server is not None and server_of(cache, vmi) == server]


def _selects_machines(service: Manifest) -> bool:
    return bool(fields.mapping(service, "spec", "selector")) and service["spec"].get("type") != "ExternalName"


def addresses_on(held: Held, vmi: Manifest) -> tuple[Address, ...]:
    """Return the addresses that a running VMI's cluster NIC has in the data plane; none while it does not run."""
    link = held.cluster_link(vmi["metadata"]["uid"])
    return link.addresses if link is not None and fields.status_of(vmi).get("phase") == "Running" else ()


def is_attached(cache: Cache, services: Sequence[Manifest], *, floats_to: str | None = None) -> bool:
    """Return whether the addresses that Services share are, or will be, a NIC's own: a machine that may have them asks.

    One of those that share an address is enough: it goes to one NIC. A machine that asks while it runs without them has
    them at its next start only.

    Args:
        cache: What the API has.
        services: The Services.
        floats_to: The UID of the VirtualServer that has the addresses as floating ones, so that no machine but its own
            may have them; None: they do not float.
    """
    if not services:
        return False
    by_name = {service["metadata"]["name"]: service for service in services}
    vms = cache.in_namespace(kinds.VIRTUAL_MACHINE, services[0]["metadata"]["namespace"])
    asked = ((vm, by_name.get(attached_service(vm["spec"]["template"]) or "")) for vm in vms)
    return any(
        service is not None
        and server_of(cache, vm) == server_of(cache, service)
        and floats_to in (None, server_of(cache, vm))
        and not _runs_without(cache, key_of(vm), service)
        for vm, service in asked
    )


def _runs_without(cache: Cache, vm: Key, service: Manifest) -> bool:
    """Return whether a machine runs, and was started with other addresses than a Service's."""
    vmi = cache.get(kinds.VIRTUAL_MACHINE_INSTANCE, vm)
    return vmi is not None and not is_final(vmi) and attached_service(vmi) != service["metadata"]["name"]


def attached_addresses(cache: Cache, held: Held, services: Sequence[Manifest]) -> set[Address]:
    """Return the addresses that machines were started with because of one of these Services, and have as their own.

    They may be others than the Service has now: a machine keeps what it was started with until it starts next.
    """
    by_name = {service["metadata"]["name"]: service for service in services}
    found: set[Address] = set()
    vmis = cache.in_namespace(kinds.VIRTUAL_MACHINE_INSTANCE, services[0]["metadata"]["namespace"]) if services else ()
    for vmi in vmis:
        service, link = by_name.get(attached_service(vmi) or ""), held.cluster_link(vmi["metadata"]["uid"])
        if service and link and not link.translated and server_of(cache, vmi) == server_of(cache, service):
            found.update(link.addresses)
    return found


def waiting_vmis(cache: Cache, service: Manifest) -> list[Key]:
    """Return the VMIs that a Service concerns and that may wait for its address, or for its ports."""
    (namespace, name), seen = key_of(service), Labels(cache)
    return [
        key_of(vmi)
        for vmi in cache.in_namespace(kinds.VIRTUAL_MACHINE_INSTANCE, namespace)
        if not is_final(vmi) and not is_true(vmi, names.DATA_PLANE_READY)
        if labels.selects(service, seen.of(vmi))
        or attached_service(vmi) == name
        or (namespace, name) in _claimed_for(cache, vmi)
    ]


def _claimed_for(cache: Cache, vmi: Manifest) -> list[Key]:
    server = server_of(cache, vmi)
    return floating.claimed_by(cache, server) if server else []
