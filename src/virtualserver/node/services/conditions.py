"""What the node says of a Service: its conditions, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.api.support.service import SERVICE
from virtualserver.kube import fields
from virtualserver.kube.objects import key_of
from virtualserver.node.events import NO_MACHINE, RULES_REFUSED
from virtualserver.node.objects import partly_applied
from virtualserver.node.services import balancing, rules, source_ranges
from virtualserver.node.waits import Wait
from virtualserver.plan.sites.local import floats_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.fabric.desired.state import Address
    from virtualserver.kube.objects import Manifest
    from virtualserver.node.services.floating import Floats

__all__ = ["OWNED", "conditions_of"]

OWNED: Final = (names.ADDRESS_ASSIGNED, names.PORTS_PUBLISHED, names.FLOATS, names.FULLY_APPLIED)
"""The types of conditions that are the node's own."""

_NAMED_FAULTS: Final = 5
"""So many of a Service's faults are named; the others show when these are mended."""


def conditions_of(
    service: Manifest,
    granted: tuple[Address, ...] | Wait,
    floats: Floats | None,
    *,
    matches_nobody: bool,
    former: Sequence[Address],
    contested: Mapping[Address, str],
    refused: str,
    left_out: str,
    without_effect: Sequence[str],
) -> list[dict[str, Any]]:
    """Return what is to be said of a Service.

    Args:
        service: The Service.
        granted: Its load balancer addresses, or why it has none.
        floats: Where they float to; None: they do not.
        matches_nobody: Whether its selector matches no machine, and somebody should be told.
        former: Those of its addresses that are of a network which their pool had before.
        contested: Those that another machine answers for too, and which.
        refused: What of its EndpointSlices the API server refuses; ``""``: nothing.
        left_out: Why the data plane does not carry it; ``""``: it does.
        without_effect: What of its endpoints has none, in words.
    """
    conditions: list[dict[str, Any]] = []
    faults: dict[str, str] = {RULES_REFUSED: left_out} if left_out else {}
    if named := rules.named_target_ports(service):
        quoted = ", ".join(map(repr, named))
        faults["NamedTargetPort"] = f"targetPort {quoted}: a machine has no port names, write a number"
    if balancing.wants_address(service):
        conditions.append(_address_condition(service, granted, former, contested))
        if unreadable := source_ranges.clients_of(service).faults:
            faults["SourceRangeInvalid"] = "; ".join(unreadable[:_NAMED_FAULTS])
    if matches_nobody:
        faults[NO_MACHINE] = _nobody(service)
    if refused:
        faults["EndpointsRefused"] = f"packets take their way, but the API does not show all endpoints: {refused}"
    if floats is not None and floats.addresses:
        message = floats_message(floats.server["metadata"]["name"])
        conditions.append({"type": names.FLOATS, "status": "True", "reason": "Claimed", "message": message})
    if faults:
        reason, message = next(iter(faults)), "; ".join(faults.values())
        conditions.append({"type": names.PORTS_PUBLISHED, "status": "False", "reason": reason, "message": message})
    return [*conditions, *partly_applied(SERVICE, service, also=without_effect)]


def _nobody(service: Manifest) -> str:
    selector = fields.mapping(service, "spec", "selector")
    named = [f"{key}={value}" for key, value in list(selector.items())[:_NAMED_FAULTS]]
    return (
        f"spec.selector: no machine of this namespace has the labels {','.join(named)}: a machine has those of its "
        "VirtualServer and vm.kubevirt.io/name, which is its name"
    )


def _address_condition(
    service: Manifest,
    granted: tuple[Address, ...] | Wait,
    former: Sequence[Address],
    contested: Mapping[Address, str],
) -> dict[str, Any]:
    if isinstance(granted, Wait):
        return {
            "type": names.ADDRESS_ASSIGNED,
            "status": "False",
            "reason": granted.reason,
            "message": granted.message,
        }
    found = {"type": names.ADDRESS_ASSIGNED, "status": "True", "reason": "Assigned", "message": ""}
    if contested:
        listed = ", ".join(f"{address} by {who}" for address, who in contested.items())
        message = f"answered for by another machine on the link too, so that clients may reach that one: {listed}"
        return {**found, "reason": "AddressContested", "message": message}
    for address in former:
        found["reason"] = "FormerPool"
        found["message"] = (
            f"{address} is of a network that its pool had before; it stays and works{_way(service, address)}"
        )
    return found


def _way(service: Manifest, address: Address) -> str:
    """Return how a Service comes to an address that its pool has now."""
    wish = balancing.wish_of(service)
    if not isinstance(wish, Wait) and address in wish.pinned:
        return ". The Service asks for this very address: to have another one, let it ask for that"
    if fields.annotations_of(service).get(names.LEAVES) == str(address):
        return f". It is to be given up ({names.LEAVES}), and is as soon as the pool has another one for this Service"
    return f". To have one that the pool has now: {balancing.leaving(key_of(service), address)}"
