"""Floating addresses of a server, as values: what there is of their Services, and how each address stands.

A floating address is that of a LoadBalancer Service of the namespace, which is never written. A server has it by a
claim: an EndpointSlice of ours that is named after the Service, so that one server has it, whoever comes first.

Source: the seed (Floating IPs) and the project's contract (the three forms, and what a literal address means).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from virtualserver.api.virtualserver import read_floating
from virtualserver.kube import fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from virtualserver.api.reasons import Reason
    from virtualserver.kube.objects import Manifest

__all__ = ["Floating", "FloatingService", "Obstacle", "named", "places"]


@dataclasses.dataclass(frozen=True, slots=True)
class FloatingService:
    """What there is of a Service whose address a manifest names.

    Attributes:
        service: The Service; None: there is none of the name.
        claim: The EndpointSlice of the claim's name, whoever made it; None: there is none.
        holder: The living VirtualServer that has the Service's address, by this claim or by one to a Service that
            shares the address; None: none has it.
        server: The living VirtualServer that the Service was made for; None: it was made for none.
        selected: Machines that its selector matches, by kind and name.
        foreign: Names of EndpointSlices with ready endpoints that others made for it.
    """

    service: Manifest | None = None
    claim: Manifest | None = None
    holder: str | None = None
    server: str | None = None
    selected: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


class Obstacle(NamedTuple):
    """Why a server does not have a floating address."""

    reason: Reason
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Floating:
    """One floating address of a server, as it stands.

    Attributes:
        field: Where the manifest names it.
        service: The Service whose address it is.
        pinned: The literal address that such a Service asks for; ``""``: it is a Service of the namespace.
        obstacle: Why the server cannot claim it; None: it can, or does.
        is_claimed: Whether the server's claim exists.
        addresses: What the Service was granted; none before.
    """

    field: str
    service: str
    pinned: str = ""
    obstacle: Obstacle | None = None
    is_claimed: bool = False
    addresses: tuple[str, ...] = ()

    @property
    def is_held(self) -> bool:
        """Whether the server has the address."""
        return self.is_claimed and self.obstacle is None and bool(self.addresses)


def named(server: Manifest) -> tuple[str, ...]:
    """Return what a VirtualServer names in ``floatingIPs``: names of Services, and addresses in their normal form.

    Args:
        server: As it is stored; it may be invalid.
    """
    found: list[str] = []
    for item in cast("Sequence[Any]", fields.mapping(server, "spec", "network").get("floatingIPs") or ()):
        if isinstance(item, str) or fields.mapping({"item": item}, "item").get("serviceName"):
            one = read_floating(item)
            found.append(str(one.address or one.service_name))
    return tuple(dict.fromkeys(found))


def places(server: Manifest, service: Manifest, addresses: Iterable[object]) -> list[int]:
    """Return at which places of its list a VirtualServer names a Service, or one of its addresses.

    Args:
        server: The VirtualServer, as it is stored.
        service: The Service.
        addresses: Those that it has.
    """
    words = {service["metadata"]["name"], *map(str, addresses)}
    return [place for place, word in enumerate(named(server)) if word in words]
