"""The claims of a server to floating addresses: EndpointSlices without endpoints, made once and never changed.

Who comes first has the address: a second object of the name is refused by the API server. The claim lives as long as
the server names the Service, running or stopped, and no longer than the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtualserver.api import names
from virtualserver.plan import ownership
from virtualserver.plan.outcome import Apply, Removal

if TYPE_CHECKING:
    from virtualserver.plan.situation import Situation

__all__ = ["floating_claims", "removals"]


def floating_claims(situation: Situation) -> list[Apply]:
    """Return the claims that do not exist yet; one that exists is never written again."""
    server = situation.server
    result: list[Apply] = []
    for floating in situation.floating:
        name = ownership.claim_name(floating.service)
        if floating.obstacle is not None or situation.found.get("EndpointSlice", name) is not None:
            continue
        metadata = ownership.metadata(server, name)
        metadata["labels"] |= {ownership.SERVICE_NAME: floating.service, names.MANAGED_BY: names.OPERATOR_MANAGER}
        manifest: dict[str, Any] = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "endpoints": [],
        }
        result.append(Apply(manifest))
    return result


def removals(situation: Situation) -> list[Removal]:
    """Return the claims to Services that the manifest does not name any more."""
    named = {ownership.claim_name(floating.service) for floating in situation.floating}
    return [
        Removal("EndpointSlice", situation.server.namespace, name, claim["metadata"]["uid"])
        for (kind, name), claim in situation.children.objects.items()
        if kind == "EndpointSlice" and name not in named and not situation.children.leaving(kind, name)
    ]
