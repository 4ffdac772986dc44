"""Which kinds the operator follows, and which servers a change in them concerns.

An object of a name that a server needs concerns that server whoever it belongs to, so that a name that is taken, or
freed, is seen. Secrets are followed only where they are ours: of others it is followed when they change, and they are
read one by one when a server refers to them.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.api.conditions import ConditionType
from virtualserver.api.quantity import parse
from virtualserver.api.reasons import Reason
from virtualserver.kube import fields, kinds
from virtualserver.kube.cache import Watch
from virtualserver.kube.conditions import condition_of
from virtualserver.kube.objects import key_of
from virtualserver.operator import waits
from virtualserver.operator.kinds import BY_KIND, VIRTUAL_SERVER, WAIT
from virtualserver.operator.manifests import (
    is_image,
    machine_labels,
    machine_mac,
    selects,
    server_macs,
    source_claim,
)
from virtualserver.plan.children import MADE_FROM
from virtualserver.plan.floating import named
from virtualserver.plan.objects.table import KINDS
from virtualserver.plan.ownership import SERVICE_NAME, living_owner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from virtualserver.api.mac import MacKey
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.objects import Key, Manifest, Resource
    from virtualserver.kube.store import Change

__all__ = ["AWAITED", "BY_ADDRESS", "BY_MAC", "BY_SERVICE", "concerned", "watches"]

AWAITED: Final = frozenset({VIRTUAL_SERVER, kinds.SERVICE, kinds.VIRTUAL_MACHINE_INSTANCE, WAIT})
"""Kinds whose changes people wait for: what a manifest asks, an address, a guest. News of disks go behind those."""
BY_MAC: Final = "mac"
"""Index of VirtualServers: the MAC addresses that each may claim."""
BY_ADDRESS: Final = "address"
"""Index of Services: NAMESPACE/ADDRESS of each load balancer address that a Service shows."""
BY_SERVICE: Final = "service"
"""Index of EndpointSlices: NAMESPACE/NAME of the Service that each is of."""
_BY_FLOATING: Final = "floating"
"""Index of VirtualServers: NAMESPACE/WORD of each Service or address that a manifest names as a floating one, and
NAMESPACE/ of those that name any."""
_BY_SOURCE: Final = "source"
"""Index of VirtualServers: NAMESPACE/NAME of the PersistentVolumeClaim that each root disk is cloned from."""


_USER_REFERENCES: Final = ("passwordSecretRef", "sshPublicKeysSecretRef")
_BY_REFERENCE: Final = "reference"
"""Index of VirtualServers: NAMESPACE/NAME of each Secret that a manifest refers to."""


def _secret_values(server: Manifest) -> Iterable[str]:
    spec = fields.mapping(server, "spec")
    referring = [
        *((user, field) for user in fields.items(spec, "users") for field in _USER_REFERENCES),
        (spec, "cloudInitSecretRef"),
    ]
    names = {fields.mapping(one, field).get("name") for one, field in referring}
    return [f"{server['metadata']['namespace']}/{name}" for name in names if isinstance(name, str)]


def _source_values(server: Manifest) -> Iterable[str]:
    source = source_claim(server)
    return ("/".join(source),) if source else ()


def _floating_values(server: Manifest) -> Iterable[str]:
    namespace, words = server["metadata"]["namespace"], named(server)
    return [f"{namespace}/{word}" for word in ("", *words)] if words else ()


def _address_values(service: Manifest) -> Iterable[str]:
    return [f"{service['metadata']['namespace']}/{address}" for address in fields.load_balancer_addresses(service)]


def _service_values(one: Manifest) -> Iterable[str]:
    name = fields.labels_of(one).get(SERVICE_NAME)
    return (f"{one['metadata']['namespace']}/{name}",) if name else ()


def watches(mac_key: MacKey) -> Mapping[Resource, Watch]:
    """Return what the operator's cache follows."""
    by_mac = functools.partial(server_macs, mac_key=mac_key)
    return {
        VIRTUAL_SERVER: Watch(
            indexes={
                BY_MAC: by_mac,
                _BY_SOURCE: _source_values,
                _BY_FLOATING: _floating_values,
                _BY_REFERENCE: _secret_values,
            }
        ),
        **dict.fromkeys(BY_KIND.values(), Watch()),
        kinds.SERVICE: Watch(indexes={BY_ADDRESS: _address_values}),
        # Those of the node tell nothing that a Service does not, and there may be one for each server.
        kinds.ENDPOINT_SLICE: Watch(
            indexes={BY_SERVICE: _service_values}, label_selector=f"{names.MANAGED_BY}!={names.MANAGED_BY_NODE}"
        ),
        kinds.SECRET: Watch(label_selector=names.UID),
        kinds.SECRET_METADATA: Watch(),
        kinds.RESOURCE_QUOTA: Watch(),
        WAIT: Watch(indexes={waits.BY_SERVER: waits.servers}),
    }


def concerned(cache: Cache, mac_key: MacKey, resource: Resource, change: Change) -> list[Key]:
    """Return the keys of the servers that a change concerns, each once; none for a write of our own.

    Args:
        cache: Follows `watches`, and has the change already.
        mac_key: From which MAC addresses follow.
        resource: The kind of the object that changed.
        change: What happened to it.
    """
    if change.is_own:
        return []
    if resource is WAIT:
        return [waits.server_of(change.new)] if change.new else []
    found = [*_by_name(cache, resource, change.key)]
    if resource is VIRTUAL_SERVER:
        servers = [one for one in (change.old, change.new) if one]
        found += _rivals(cache, change, [address for one in servers for address in server_macs(one, mac_key)])
    if resource is kinds.VIRTUAL_MACHINE:
        found += _rivals(cache, change, [machine_mac(one) for one in (change.old, change.new) if one])
        found += _with_selectors(cache, change)
    if resource in (kinds.SERVICE, kinds.ENDPOINT_SLICE):
        found += [*_named_as_floating(cache, resource, change), *_claimants(cache, resource, change)]
    if resource is kinds.SECRET_METADATA:
        found += (key_of(one) for one in cache.by_index(VIRTUAL_SERVER, _BY_REFERENCE, "/".join(change.key)))
    if resource is kinds.PERSISTENT_VOLUME_CLAIM:
        found += _waiting_for_image(cache, change)
    if resource is kinds.RESOURCE_QUOTA and _has_more_room(change):
        found += _refused_an_object(cache, change.key[0])
    return list(dict.fromkeys(found))


def _by_name(cache: Cache, resource: Resource, key: Key) -> Iterator[Key]:
    """Yield the servers that may need an object of this name, and the server itself even when it is gone."""
    if resource is VIRTUAL_SERVER:
        yield key
        return
    namespace, name = key
    for candidate in _server_names(resource, name):
        if cache.get(VIRTUAL_SERVER, (namespace, candidate)):
            yield namespace, candidate


def _server_names(resource: Resource, name: str) -> tuple[str, ...]:
    made_from = MADE_FROM.get(resource.kind, resource.kind)
    return tuple(server for kind in KINDS if kind.resource.kind == made_from for server in kind.servers(name))


def _rivals(cache: Cache, change: Change, addresses: Iterable[str | None]) -> Iterator[Key]:
    """Yield the servers that claim a MAC address in common with the server or machine that changed."""
    for address in addresses:
        rivals = cache.by_index(VIRTUAL_SERVER, BY_MAC, address) if address else ()
        if len(rivals) > 1 or change.new is None:
            yield from (key_of(rival) for rival in rivals)


def _named_as_floating(cache: Cache, resource: Resource, change: Change) -> Iterator[Key]:
    """Yield the servers that name a Service as a floating address, by its name or an address that it has or had.

    Those that name a Service which shares the address are concerned too: it floats to one of them.
    """
    objects = [one for one in (change.old, change.new) if one]
    words = {value for one in objects for value in _service_values(one)}
    if resource is kinds.SERVICE:
        words = {"/".join(change.key), *(value for one in objects for value in _address_values(one))}
    for word in [*words]:
        namespace, _, name = word.partition("/")
        service = cache.get(kinds.SERVICE, (namespace, name))
        words.update(_address_values(service) if service else ())
    for word in [*words]:
        words.update("/".join(key_of(service)) for service in cache.by_index(kinds.SERVICE, BY_ADDRESS, word))
    for word in sorted(words):
        yield from (key_of(server) for server in cache.by_index(VIRTUAL_SERVER, _BY_FLOATING, word))


def _claimants(cache: Cache, resource: Resource, change: Change) -> Iterator[Key]:
    """Yield the servers that an EndpointSlice says that it belongs to: a claim that they do not need is to go."""
    claims = [one for one in (change.old, change.new) if one and resource is kinds.ENDPOINT_SLICE]
    for claim in claims:
        owner = living_owner(claim, cache.get)
        if owner is not None and owner["kind"] == VIRTUAL_SERVER.kind:
            yield key_of(owner)


def _with_selectors(cache: Cache, change: Change) -> Iterator[Key]:
    """Yield the servers that name a Service as a floating address whose selector matches a machine that changed."""
    namespace, _ = change.key
    machines = [one for one in (change.old, change.new) if one]
    if len(machines) == 2 and machine_labels(machines[0]) == machine_labels(machines[1]):
        return
    for server in cache.by_index(VIRTUAL_SERVER, _BY_FLOATING, f"{namespace}/"):
        services = (cache.get(kinds.SERVICE, (namespace, name)) for name in named(server))
        if any(service and selects(service, machine) for service in services for machine in machines):
            yield key_of(server)


def _waiting_for_image(cache: Cache, change: Change) -> Iterator[Key]:
    """Yield the servers that wait for a claim as their image, or whose message names the images that there are."""
    yield from (key_of(server) for server in cache.by_index(VIRTUAL_SERVER, _BY_SOURCE, "/".join(change.key)))
    claim = change.new or change.old
    if claim and is_image(claim) and (change.old is None or change.new is None):
        for server in cache.all(VIRTUAL_SERVER):
            wanted = source_claim(server)
            if wanted and not cache.get(kinds.PERSISTENT_VOLUME_CLAIM, wanted):
                yield key_of(server)


def _has_more_room(change: Change) -> bool:
    """Return whether a ResourceQuota may let something through that it refused before."""
    if change.old is None or change.new is None:
        return change.new is None
    before, after = _room(change.old), _room(change.new)
    return any(name not in after or after[name] > left for name, left in before.items())


def _room(quota: Manifest) -> dict[str, Fraction]:
    """Return how much a ResourceQuota leaves of each thing that it bounds: none before it has counted it."""
    status = fields.status_of(quota)
    hard, used = fields.mapping(status, "hard"), fields.mapping(status, "used")
    return {
        name: parse(hard[name]) - parse(used[name]) if name in hard and name in used else Fraction()
        for name in fields.mapping(quota, "spec", "hard")
    }


def _refused_an_object(cache: Cache, namespace: str) -> Iterator[Key]:
    """Yield the servers of a namespace of which the API server refused an object."""
    for server in cache.in_namespace(VIRTUAL_SERVER, namespace):
        ready = condition_of(server, ConditionType.READY.value)
        if ready is not None and ready.get("reason") == Reason.ERROR.value:
            yield key_of(server)
