"""What DHCP tells a guest about names, from a pod's ``dnsPolicy`` and ``dnsConfig``: pure.

Source: Kubernetes, "DNS for Services and Pods".
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final, TypeVar

from virtualserver.api.resolver import is_nameserver, is_search
from virtualserver.fabric.desired.options import carried
from virtualserver.fabric.desired.state import GATEWAYS, Resolver
from virtualserver.kube import fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from virtualserver.host.resolv_conf import ResolvConf
    from virtualserver.kube.objects import Manifest

__all__ = ["CLUSTER_RESOLVER", "left_out", "resolver_of"]

CLUSTER_RESOLVER: Final = GATEWAYS
"""The cluster's resolver, one address of each family: the same link-local ones on every tap."""

_CLUSTER_DOMAIN: Final = "cluster.local"

_NAMED: Final = 5
"""How many names a message says."""
_T = TypeVar("_T")


def _merged(*lists: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))


def resolver_of(spec: Manifest, *, namespace: str, host: ResolvConf) -> Resolver:
    """Return what a guest is told.

    Args:
        spec: The VirtualMachineInstance's ``spec``.
        namespace: The guest's namespace.
        host: Whom the host asks, for the policy ``Default``.
    """
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "None":
        base = Resolver((), ())
    elif policy == "Default":
        # A host whose only resolver is on its loopback: the cluster's resolver asks that one on the guest's behalf.
        base = Resolver(host.reachable or CLUSTER_RESOLVER, host.searches)
    else:
        service = f"svc.{_CLUSTER_DOMAIN}"
        base = Resolver(CLUSTER_RESOLVER, (f"{namespace}.{service}", service, _CLUSTER_DOMAIN))
    config: Mapping[str, Sequence[str]] = fields.mapping(spec, "dnsConfig")
    # What is none is refused before a start. A machine that runs already is told the rest.
    nameservers = map(ipaddress.ip_address, filter(is_nameserver, config.get("nameservers") or ()))
    searches = [search.removesuffix(".") for search in config.get("searches") or () if is_search(search)]
    return Resolver(_merged(base.nameservers, nameservers), _merged(base.searches, searches))


def left_out(resolver: Resolver) -> str:
    """Return what of a resolver does not reach the guest, because DHCP has no room for it; ``""``: nothing."""
    told = carried(resolver)
    fours = [address for address in resolver.nameservers if address.version == 4]
    return "; ".join(
        f"{field}: DHCP has room for the first {room} of {len(wanted)}, and the guest is not told "
        f"{_some(wanted[room:])}: leave some out, or write them into the guest by cloud-init"
        for field, wanted, room in (
            ("dnsConfig.nameservers", [str(address) for address in fours], len(told.nameservers)),
            ("dnsConfig.searches", resolver.searches, len(told.searches)),
        )
        if len(wanted) > room
    )


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
