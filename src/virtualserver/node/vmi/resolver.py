"""What DHCP tells a guest about names, from a pod's ``dnsPolicy`` and ``dnsConfig``: pure.

Source: Kubernetes, "DNS for Services and Pods".
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final, TypeVar

from virtualserver.fabric.desired.state import GATEWAY, Address, Resolver
from virtualserver.kube import fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from virtualserver.kube.objects import Manifest

__all__ = ["CLUSTER_RESOLVER", "parse_resolv_conf", "resolver_of"]

CLUSTER_RESOLVER: Final = GATEWAY
"""The cluster's resolver: the same link-local address on every tap."""

_CLUSTER_DOMAIN: Final = "cluster.local"

_T = TypeVar("_T")


def parse_resolv_conf(text: str) -> Resolver:
    """Return the nameservers that a guest can reach, and the search list, of a host's resolv.conf.

    A resolver on the host's loopback is left out: to the guest that address is the guest itself.
    """
    nameservers: list[Address] = []
    searches: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            try:
                address = ipaddress.ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            if not address.is_loopback and not (address.version == 6 and address.is_link_local):
                nameservers.append(address)
        elif words[0] in ("search", "domain"):
            searches = tuple(word.rstrip(".") for word in words[1:] if word != ".")
    return Resolver(nameservers=tuple(nameservers), searches=searches)


def _merged(*lists: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))


def resolver_of(spec: Manifest, *, namespace: str, host: Resolver) -> Resolver:
    """Return what a guest is told.

    Args:
        spec: The VirtualMachineInstance's ``spec``.
        namespace: The guest's namespace.
        host: The host's own resolver, for the policy ``Default``.
    """
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "None":
        base = Resolver((), ())
    elif policy == "Default":
        # A host whose only resolver is on its loopback: the cluster's resolver asks that one on the guest's behalf.
        base = Resolver(host.nameservers or (CLUSTER_RESOLVER,), host.searches)
    else:
        service = f"svc.{_CLUSTER_DOMAIN}"
        base = Resolver((CLUSTER_RESOLVER,), (f"{namespace}.{service}", service, _CLUSTER_DOMAIN))
    config: Mapping[str, Sequence[str]] = fields.mapping(spec, "dnsConfig")
    nameservers = [ipaddress.ip_address(text) for text in config.get("nameservers") or ()]
    searches = [search.rstrip(".") for search in config.get("searches") or () if search != "."]
    return Resolver(_merged(base.nameservers, nameservers), _merged(base.searches, searches))
