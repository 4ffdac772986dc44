"""The fields of a Service, and of a NetworkPolicy. Source: Kubernetes API v1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.api.support.field import Effect, Field, Limit, Table
from virtualserver.api.support.probe import at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["NETWORK_POLICY", "SERVICE"]

_ONE_MACHINE: Final = "there is one machine, so that each value means the same"
_BY_API_SERVER: Final = "the API server grants it"


def _has_named_ports_of_its_own(service: Mapping[str, Any]) -> bool:
    """Return whether a headless Service names ports, as those do that are asked for by SRV records."""
    return at(service, "spec.clusterIP") == "None" and any(
        one.get("name") for one in at(service, "spec.ports") or () if not at(service, "metadata.ownerReferences")
    )


def _has_sctp(service: Mapping[str, Any]) -> bool:
    return any(one.get("protocol") == "SCTP" for one in at(service, "spec.ports") or ())


_EXTERNAL_NAME: Final = Limit(
    "spec.externalName",
    # The node's own Service has one for kube-apiserver, which asks it as it is.
    lambda service: bool(at(service, "spec.externalName")) and at(service, "metadata.name") != names.NODE_MANAGER,
    "for guests: no name stands for another one",
)

SERVICE: Final[Table] = (
    Field(
        "metadata.annotations",
        Effect.NOW,
        "MetalLB's `address-pool`, `loadBalancerIPs` and `allow-shared-ip`, and Kubernetes' "
        "`load-balancer-source-ranges`; others are for whoever reads them",
    ),
    Field("spec.type", Effect.NOW, refused="`NodePort`, where it is new"),
    Field("spec.selector", Effect.NOW, "of machines' labels; a load balancer that selects nobody says so"),
    Field("spec.clusterIP", Effect.NOW, _BY_API_SERVER),
    Field("spec.clusterIPs", Effect.NOW, _BY_API_SERVER),
    Field("spec.ipFamilies", Effect.NOW, _BY_API_SERVER),
    Field("spec.ipFamilyPolicy", Effect.NOW, _BY_API_SERVER),
    Field("spec.externalIPs", Effect.REFUSED, "nobody answers for them", refused="those that are new"),
    Field("spec.externalName", Effect.NOW, limits=(_EXTERNAL_NAME,)),
    Field("spec.loadBalancerIP", Effect.NOW),
    Field("spec.loadBalancerSourceRanges", Effect.NOW, "for guests as for clients outside"),
    Field("spec.loadBalancerClass", Effect.NAMED, "left to whoever has that class: it gets no address of ours"),
    Field("spec.allocateLoadBalancerNodePorts", Effect.NONE, "node ports lead nowhere"),
    Field("spec.healthCheckNodePort", Effect.NONE, "the API server allocates it; nobody answers there"),
    Field("spec.externalTrafficPolicy", Effect.NOW, f"{_ONE_MACHINE}; a guest always sees its clients' own addresses"),
    Field("spec.internalTrafficPolicy", Effect.NOW, _ONE_MACHINE),
    Field("spec.trafficDistribution", Effect.NOW, _ONE_MACHINE),
    Field("spec.publishNotReadyAddresses", Effect.NOW),
    Field("spec.sessionAffinity", Effect.NOW, "for each port by itself"),
    Field("spec.sessionAffinityConfig", Effect.NOW),
    Field("spec.ports[].port", Effect.NOW),
    Field(
        "spec.ports[].protocol",
        Effect.NOW,
        limits=(Limit("SCTP of spec.ports[].protocol", _has_sctp, "such a port leads nowhere: TCP and UDP do"),),
    ),
    Field("spec.ports[].targetPort", Effect.NOW, "a number; a name is named, since machines have no port names"),
    Field(
        "spec.ports[].name",
        Effect.NOW,
        limits=(
            Limit(
                "SRV records of spec.ports[].name",
                _has_named_ports_of_its_own,
                "of a headless Service of yours: the resolver answers none, of any Service",
            ),
        ),
    ),
    Field("spec.ports[].nodePort", Effect.NONE, "node ports lead nowhere: use the load balancer's address"),
    Field("spec.ports[].appProtocol", Effect.NAMED, "packets pass as they are"),
)

NETWORK_POLICY: Final[Table] = (
    Field(
        "spec",
        Effect.REFUSED,
        "half a firewall is worse than none: `loadBalancerSourceRanges`, a firewall in the guest, or "
        "`betweenNamespaces: closed` of `site.yaml`",
        refused="every new or changed one",
    ),
)
