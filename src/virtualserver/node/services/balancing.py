"""What a Service of type LoadBalancer wishes for, and which Services share an address: pure.

Source: MetalLB's annotations (usage page), with its sharing key scoped to the namespace, so that no tenant can sit on
another's address.
"""

from __future__ import annotations

import hashlib
import ipaddress
import shlex
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields
from virtualserver.kube.objects import Key, Manifest, age_of, controller_of, key_of
from virtualserver.node.allocation.allocations import Claimant
from virtualserver.node.allocation.wishes import AddressWish
from virtualserver.node.objects import families_of
from virtualserver.node.waits import Wait
from virtualserver.plan.sites.quotas import NO_QUOTA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.state import Address
    from virtualserver.plan.sites.quotas import AddressQuota

__all__ = [
    "GROUP",
    "SharingGroup",
    "group_of",
    "groups_of",
    "leaving",
    "leaving_of",
    "wants_address",
    "wish_of",
    "wishes_of",
]

GROUP: Final = "group"
"""Index of Services that want addresses: the group that each is of."""

_SHARING_KEY: Final = "sharing-key"
_DEFAULT_POOL: Final = "public"
_LOAD_BALANCER_IPS_OLD: Final = "metallb.universe.tf/loadBalancerIPs"
_ALLOW_SHARED_IP_OLD: Final = "metallb.universe.tf/allow-shared-ip"
_MOST_PINS: Final = 2
"""One address of each family; a longer list is not read on."""
_LONGEST_KEY: Final = 253
"""A longer sharing key is recorded by its hash."""
_QUOTED: Final = 60
"""So many characters of a value are quoted in a message."""


class SharingGroup:
    """The Services that share an address, and which of them stand in each other's way; made in one go over them.

    Attributes:
        services: The oldest first; of the same age the first by name is older.
    """

    def __init__(self, services: Iterable[Manifest] = ()) -> None:
        self.services = sorted(services, key=age_of)
        self._older: dict[str, Manifest] = {}
        first: dict[tuple[str, int], Manifest] = {}
        for service in self.services:
            ports = _ports(service)
            older = next((first[port] for port in ports if port in first), None)
            if older is not None:
                self._older[service["metadata"]["uid"]] = older
            for port in ports:
                first.setdefault(port, service)

    def clash(self, service: Manifest) -> Manifest | None:
        """Return an older Service of the group with a port in common, so that it cannot share with this one."""
        return self._older.get(service["metadata"]["uid"])


def wants_address(service: Manifest) -> bool:
    """Return whether a Service asks this node for a load balancer address (one of another class does not).

    One that is being deleted does so too, for as long as a finalizer keeps it: what it has is its own until it is gone.
    """
    spec = fields.mapping(service, "spec")
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")


def wish_of(
    service: Manifest,
    group: SharingGroup | None = None,
    *,
    quota: AddressQuota = NO_QUOTA,
    opened: frozenset[str] | None = None,
) -> AddressWish | Wait:
    """Return what a LoadBalancer Service wishes for, or why that cannot be read.

    Args:
        service: A Service that wants addresses.
        group: The Services that want addresses and have its sharing key, itself included; None: it is alone.
        quota: So many addresses of each pool may its namespace have.
        opened: The pools that pinned addresses may be of; None: any.
    """
    annotations, spec = fields.annotations_of(service), service["spec"]
    pool = annotations.get(names.METALLB_ADDRESS_POOL) or annotations.get(names.METALLB_ADDRESS_POOL_OLD)
    key = names.METALLB_LOAD_BALANCER_IPS if names.METALLB_LOAD_BALANCER_IPS in annotations else _LOAD_BALANCER_IPS_OLD
    pins, field = annotations.get(key, ""), f"metadata.annotations[{key}]"
    if spec.get("loadBalancerIP"):
        if pins:
            return Wait("AddressInvalid", f"spec.loadBalancerIP and {field} exclude each other: remove one of them")
        pins, field = spec["loadBalancerIP"], "spec.loadBalancerIP"
    families = families_of(service)
    pinned = _pinned(pins, field, families)
    if isinstance(pinned, Wait):
        return pinned
    older = group.clash(service) if group else None
    return AddressWish(
        service=service["metadata"]["uid"],
        group=group_of(service),
        clash="/".join(key_of(older)) if older else None,
        pool=pool or (None if pinned else _DEFAULT_POOL),
        pinned=pinned,
        families=families,
        claimant=_claimant(service),
        quota=quota,
        opened=opened,
        leaves=annotations.get(names.LEAVES),
        ports=tuple(_ports(service)) if fields.mapping(spec, "selector") else (),
    )


def _pinned(pins: str, field: str, families: tuple[int, ...]) -> tuple[Address, ...] | Wait:
    """Return the addresses of a list with commas, at most one of each family, or what is wrong with it."""
    pinned: dict[int, Address] = {}
    for text in filter(None, (part.strip() for part in pins.split(",", _MOST_PINS))):
        try:
            if "%" in text:  # a zone makes another address of the same one, and may be any text
                raise ValueError
            address = ipaddress.ip_address(text)
        except ValueError:
            message = f"{field}: {_quoted(text)} is no IP address: write one such as 203.0.113.10"
            return Wait("AddressInvalid", message)
        if address.version not in families:
            return Wait("AddressInvalid", f"{field}: {address} is of a family that spec.ipFamilies does not name")
        if address.version in pinned:
            message = f"{field}: {_quoted(pins)} has several addresses of one family: a Service has one, so name one"
            return Wait("AddressInvalid", message)
        pinned[address.version] = address
    return tuple(pinned.values())


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…")


def wishes_of(services: Iterable[Manifest]) -> list[AddressWish]:
    """Return the wishes of Services of which those of one group stand together; unreadable ones are left out."""
    groups: dict[str, list[Manifest]] = {}
    for service in services:
        groups.setdefault(group_of(service), []).append(service)
    shared = map(SharingGroup, groups.values())
    wishes = [wish_of(service, group) for group in shared for service in group.services]
    return [wish for wish in wishes if isinstance(wish, AddressWish)]


def group_of(service: Manifest) -> str:
    """Return the owner of the address: the Services of a namespace with one sharing key are one owner."""
    key, metadata = _sharing_key(service), service["metadata"]
    return f"{metadata['namespace']}/{key}" if key else metadata["uid"]


def groups_of(service: Manifest) -> Iterable[str]:
    """Return what the index `GROUP` has of a Service."""
    return (group_of(service),) if wants_address(service) else ()


def leaving(service: Key, address: Address) -> str:
    """Return what a person types to move a Service from an address of a former network of its pool to another one."""
    namespace, name = service
    return _annotating(namespace, [name], address)


def leaving_of(holder: Claimant, address: Address) -> str:
    """Return the same of whoever an address is recorded for; NAME stands for a Service of users who share a key."""
    kind, _, name = holder.name.partition(" ")
    # A server has one Service or two; what does not have the address is not concerned.
    which = [name] if kind == "Service" else ["NAME"] if kind == _SHARING_KEY else ["-l", f"{names.NAME}={name}"]
    return _annotating(holder.namespace, which, address)


def _annotating(namespace: str, which: list[str], address: Address) -> str:
    annotation = f"{names.LEAVES}={address}"
    return shlex.join(["kubectl", "-n", namespace, "annotate", "--overwrite", "service", *which, annotation])


def _claimant(service: Manifest) -> Claimant:
    """Return the owner in words that are the same for the next object of that name.

    A server's Services share by its UID, which the next server of that name has not.
    """
    key, metadata = _sharing_key(service), service["metadata"]
    controller = controller_of(service)
    if not key:
        name = f"Service {metadata['name']}"
    elif controller is not None and controller["uid"] == key:
        name = f"{controller['kind']} {controller['name']}"
    else:
        name = f"{_SHARING_KEY} {key}"
    return Claimant(metadata["namespace"], name)


def _sharing_key(service: Manifest) -> str | None:
    annotations = fields.annotations_of(service)
    key = annotations.get(names.METALLB_ALLOW_SHARED_IP) or annotations.get(_ALLOW_SHARED_IP_OLD)
    return hashlib.sha256(key.encode()).hexdigest() if key and len(key) > _LONGEST_KEY else key


def _ports(service: Manifest) -> list[tuple[str, int]]:
    return [(port.get("protocol", "TCP"), port["port"]) for port in fields.items(service, "spec", "ports")]
