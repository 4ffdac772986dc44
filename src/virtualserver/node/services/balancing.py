"""What a Service of type LoadBalancer wishes for, and which Services share an address: pure.

Source: MetalLB's annotations (usage page), with its sharing key scoped to the namespace, so that no tenant can sit on
another's address.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields
from virtualserver.kube.objects import Manifest, owner_uid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.state import Address

__all__ = ["Fault", "Wish", "group_of", "wants_address", "wish_of", "yields_to"]

DEFAULT_POOL: Final = "public"
_LOAD_BALANCER_IPS_OLD: Final = "metallb.universe.tf/loadBalancerIPs"
_ALLOW_SHARED_IP_OLD: Final = "metallb.universe.tf/allow-shared-ip"


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """Why a Service cannot have an address.

    Attributes:
        reason: A condition's reason.
        message: Field, value, cause and what to do.
    """

    reason: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """What a Service asks for.

    Attributes:
        pool: The pool's name, None where only the pinned addresses name it.
        pinned: The addresses that it must have; empty: any.
        families: 4, 6, in the Service's order.
    """

    pool: str | None
    pinned: tuple[Address, ...]
    families: tuple[int, ...]


def wants_address(service: Manifest) -> bool:
    """Return whether a Service asks this node for a load balancer address (one of another class does not)."""
    spec = service["spec"]
    return (
        spec.get("type") == "LoadBalancer"
        and not spec.get("loadBalancerClass")
        and not service["metadata"].get("deletionTimestamp")
    )


def wish_of(service: Manifest) -> Wish | Fault:
    """Return what a LoadBalancer Service wishes for, or why that cannot be read."""
    annotations, spec = fields.annotations_of(service), service["spec"]
    pool = annotations.get(names.METALLB_ADDRESS_POOL) or annotations.get(names.METALLB_ADDRESS_POOL_OLD)
    key = names.METALLB_LOAD_BALANCER_IPS if names.METALLB_LOAD_BALANCER_IPS in annotations else _LOAD_BALANCER_IPS_OLD
    pins, field = annotations.get(key, ""), f"metadata.annotations[{key}]"
    if spec.get("loadBalancerIP"):
        if pins:
            return Fault("AddressInvalid", f"spec.loadBalancerIP and {field} exclude each other: remove one of them")
        pins, field = spec["loadBalancerIP"], "spec.loadBalancerIP"
    pinned: list[Address] = []
    for text in filter(None, (part.strip() for part in pins.split(","))):
        try:
            pinned.append(ipaddress.ip_address(text))
        except ValueError:
            return Fault("AddressInvalid", f"{field}: {text!r} is no IP address: write one such as 203.0.113.10")
    families = tuple(6 if family == "IPv6" else 4 for family in spec.get("ipFamilies") or ("IPv4",))
    return Wish(pool=pool or (None if pinned else DEFAULT_POOL), pinned=tuple(pinned), families=families)


def group_of(service: Manifest) -> str:
    """Return the owner of the address: the Services of a namespace with one sharing key are one owner."""
    annotations = fields.annotations_of(service)
    key = annotations.get(names.METALLB_ALLOW_SHARED_IP) or annotations.get(_ALLOW_SHARED_IP_OLD)
    metadata = service["metadata"]
    return f"{metadata['namespace']}/{key}" if key else metadata["uid"]


def _ports(service: Manifest) -> set[tuple[str, int]]:
    return {(port.get("protocol", "TCP"), port["port"]) for port in fields.items(service, "spec", "ports")}


def yields_to(service: Manifest, others: Iterable[Manifest]) -> Manifest | None:
    """Return an older Service of the group whose ports clash with this one's, None where there is none.

    Services of one controller are first among equals of the same age by name.
    """

    def age(one: Manifest) -> tuple[str, str]:
        return one["metadata"].get("creationTimestamp") or "", one["metadata"]["name"]

    ports = _ports(service)
    for other in others:
        if (
            other["metadata"]["uid"] != service["metadata"]["uid"]
            and age(other) < age(service)
            and ports & _ports(other)
        ):
            return other
    return None


def owners_of(service: Manifest) -> set[str]:
    """Return every owner name under which this Service keeps claims alive."""
    metadata = service["metadata"]
    owners = {metadata["uid"], group_of(service)}
    if controller := owner_uid(service):
        owners.add(controller)
    return owners
