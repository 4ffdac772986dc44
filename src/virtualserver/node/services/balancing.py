"""What a Service of type LoadBalancer wishes for, and which Services share an address: pure.

Source: MetalLB's annotations (usage page), with its sharing key scoped to the namespace, so that no tenant can sit on
another's address.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields
from virtualserver.kube.objects import Manifest, controller_of, key_of
from virtualserver.node.allocation.allocations import Claimant
from virtualserver.node.allocation.wishes import AddressWish
from virtualserver.node.waits import Wait
from virtualserver.plan.sites.quotas import NO_QUOTA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.state import Address
    from virtualserver.plan.sites.quotas import AddressQuota

__all__ = ["group_of", "wants_address", "wish_of", "wishes_of"]

_DEFAULT_POOL: Final = "public"
_LOAD_BALANCER_IPS_OLD: Final = "metallb.universe.tf/loadBalancerIPs"
_ALLOW_SHARED_IP_OLD: Final = "metallb.universe.tf/allow-shared-ip"


def wants_address(service: Manifest) -> bool:
    """Return whether a Service asks this node for a load balancer address (one of another class does not).

    One that is being deleted does so too, for as long as a finalizer keeps it: what it has is its own until it is gone.
    """
    spec = service["spec"]
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")


def wish_of(service: Manifest, group: Iterable[Manifest] = (), *, quota: AddressQuota = NO_QUOTA) -> AddressWish | Wait:
    """Return what a LoadBalancer Service wishes for, or why that cannot be read.

    Args:
        service: A Service that wants addresses.
        group: The Services that want addresses and have its sharing key, itself included or not.
        quota: So many addresses of each pool may its namespace have.
    """
    annotations, spec = fields.annotations_of(service), service["spec"]
    pool = annotations.get(names.METALLB_ADDRESS_POOL) or annotations.get(names.METALLB_ADDRESS_POOL_OLD)
    key = names.METALLB_LOAD_BALANCER_IPS if names.METALLB_LOAD_BALANCER_IPS in annotations else _LOAD_BALANCER_IPS_OLD
    pins, field = annotations.get(key, ""), f"metadata.annotations[{key}]"
    if spec.get("loadBalancerIP"):
        if pins:
            return Wait("AddressInvalid", f"spec.loadBalancerIP and {field} exclude each other: remove one of them")
        pins, field = spec["loadBalancerIP"], "spec.loadBalancerIP"
    pinned: list[Address] = []
    for text in filter(None, (part.strip() for part in pins.split(","))):
        try:
            if "%" in text:  # a zone makes another address of the same one, and may be any text
                raise ValueError
            pinned.append(ipaddress.ip_address(text))
        except ValueError:
            return Wait("AddressInvalid", f"{field}: {text!r} is no IP address: write one such as 203.0.113.10")
    families = tuple(6 if family == "IPv6" else 4 for family in spec.get("ipFamilies") or ("IPv4",))
    for address in pinned:
        if address.version not in families:
            return Wait("AddressInvalid", f"{field}: {address} is of a family that spec.ipFamilies does not name")
        if sum(one.version == address.version for one in pinned) > 1:
            message = f"{field}: {pins!r} has several addresses of one family: a Service has one, so name one"
            return Wait("AddressInvalid", message)
    older = _clash(service, group)
    return AddressWish(
        service=service["metadata"]["uid"],
        group=group_of(service),
        clash="/".join(key_of(older)) if older else None,
        pool=pool or (None if pinned else _DEFAULT_POOL),
        pinned=tuple(pinned),
        families=families,
        claimant=_claimant(service),
        quota=quota,
    )


def wishes_of(services: Iterable[Manifest]) -> list[AddressWish]:
    """Return the wishes of Services of which those of one group stand together; unreadable ones are left out."""
    groups: dict[str, list[Manifest]] = {}
    for service in services:
        groups.setdefault(group_of(service), []).append(service)
    wishes = [wish_of(service, group) for group in groups.values() for service in group]
    return [wish for wish in wishes if isinstance(wish, AddressWish)]


def group_of(service: Manifest) -> str:
    """Return the owner of the address: the Services of a namespace with one sharing key are one owner."""
    key, metadata = _sharing_key(service), service["metadata"]
    return f"{metadata['namespace']}/{key}" if key else metadata["uid"]


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
        name = f"sharing-key {key}"
    return Claimant(metadata["namespace"], name)


def _sharing_key(service: Manifest) -> str | None:
    annotations = fields.annotations_of(service)
    return annotations.get(names.METALLB_ALLOW_SHARED_IP) or annotations.get(_ALLOW_SHARED_IP_OLD)


def _ports(service: Manifest) -> set[tuple[str, int]]:
    return {(port.get("protocol", "TCP"), port["port"]) for port in fields.items(service, "spec", "ports")}


def _clash(service: Manifest, group: Iterable[Manifest]) -> Manifest | None:
    """Return an older Service of the group with a port in common; of the same age the first by name is older."""

    def age(one: Manifest) -> tuple[str, str]:
        return one["metadata"].get("creationTimestamp") or "", one["metadata"]["name"]

    uid, ports = service["metadata"]["uid"], _ports(service)
    older = (one for one in group if one["metadata"]["uid"] != uid and age(one) < age(service))
    return next((one for one in older if ports & _ports(one)), None)
