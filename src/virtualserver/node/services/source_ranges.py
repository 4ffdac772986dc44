"""From where a load balancer Service may be called: ``loadBalancerSourceRanges``, read and bounded; pure.

Source: Kubernetes, "Service" (the field, and the annotation that is older than it); the field counts where both are.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final, NamedTuple

from virtualserver.host.counts import counted
from virtualserver.kube import fields
from virtualserver.node.objects import families_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.state import Network
    from virtualserver.kube.objects import Manifest

__all__ = ["Clients", "clients_of", "of_all"]

_FIELD: Final = "spec.loadBalancerSourceRanges"
_ANNOTATION: Final = "service.beta.kubernetes.io/load-balancer-source-ranges"
_MOST: Final = 2000
"""How many elements of the data plane a Service may be: its networks, for each of its ports."""


class Clients(NamedTuple):
    """Who may call.

    Attributes:
        networks: Networks of either family, none that is part of another; None: everybody may call.
        faults: What could not be read, by field, and what to do; such a range admits nobody.
    """

    networks: tuple[Network, ...] | None
    faults: tuple[str, ...] = ()


def clients_of(service: Manifest) -> Clients:
    """Return who may call a Service's load balancer addresses."""
    asked = _asked(service)
    if not asked:
        return Clients(None)
    networks: list[Network] = []
    faults: list[str] = []
    for field, text in asked:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            faults.append(f"{field}: {text!r} is no network, and admits nobody: write one such as 192.0.2.0/24")
    collapsed = _collapsed(networks)
    ports = len(fields.items(service, "spec", "ports"))
    if len(collapsed) * ports > _MOST:
        each = f"for each of {ports} ports" if ports > 1 else "for a port"
        several = f"{counted(len(collapsed), 'network')} {each} are more than {_MOST}"
        return Clients((), (f"{_FIELD}: {several}, so nobody is admitted: write fewer and larger networks",))
    if not faults and not any(network.version in families_of(service) for network in collapsed):
        faults.append(f"{_FIELD}: no network is of the Service's family, so nobody is admitted: add one")
    return Clients(collapsed, tuple(faults))


def of_all(services: Iterable[Manifest]) -> tuple[Network, ...] | None:
    """Return who may call an address that Services share and a guest has itself, so that all ports are one.

    Those whom any of the Services that restrict its clients admits; everybody where none does.
    """
    restricted = [clients.networks for clients in map(clients_of, services) if clients.networks is not None]
    return _collapsed(network for networks in restricted for network in networks) if restricted else None


def _asked(service: Manifest) -> list[tuple[str, str]]:
    """Return the ranges that a Service names, each after the field that it is in."""
    field, texts = _FIELD, list[str](service["spec"].get("loadBalancerSourceRanges") or ())
    if not texts:
        field, text = f"metadata.annotations[{_ANNOTATION}]", fields.annotations_of(service).get(_ANNOTATION, "")
        texts = text.split(",") if text.strip() else []
    return [(f"{field}[{index}]", text.strip()) for index, text in enumerate(texts)]


def _collapsed(networks: Iterable[Network]) -> tuple[Network, ...]:
    several = list(networks)
    fours = [network for network in several if isinstance(network, ipaddress.IPv4Network)]
    sixes = [network for network in several if isinstance(network, ipaddress.IPv6Network)]
    return (*ipaddress.collapse_addresses(fours), *ipaddress.collapse_addresses(sixes))
