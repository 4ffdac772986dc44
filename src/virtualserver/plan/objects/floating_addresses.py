"""Which Service each floating address of a server is the address of, and why the server cannot have it; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api.reasons import Reason
from virtualserver.kube import fields
from virtualserver.kube.objects import controller_of
from virtualserver.plan import ownership
from virtualserver.plan.floating import Floating, FloatingService, Obstacle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from virtualserver.api.virtualserver import FloatingIP
    from virtualserver.kube.objects import Manifest
    from virtualserver.plan.situation import Situation

__all__ = ["floating_of"]

_MOST_NAMED: Final = 3
"""So many of what stands in the way of one Service are named."""
_GOES_ON: Final = "this goes on by itself as soon as that server does not name it any more, or is deleted"


def floating_of(situation: Situation) -> tuple[Floating, ...]:
    """Return the floating addresses of a server in the manifest's order, each Service once.

    Args:
        situation: Its own floating addresses, which follow from the rest, are not read.
    """
    found: dict[str, Floating] = {}
    for index, item in enumerate(situation.network.floating):
        field = f"spec.network.floatingIPs[{index}]"
        one = _named(situation, field, item) or _pinned(situation, field, item, found)
        found.setdefault(one.service, one)
    return tuple(found.values())


def _named(situation: Situation, field: str, item: FloatingIP) -> Floating | None:
    """Return the address of a Service that exists, or that is named; None for an address that no Service holds."""
    surroundings = situation.surroundings
    name = item.service_name or surroundings.holders.get(str(item.address), "")
    if not name or (not item.service_name and name in _own_pins(situation)):
        return None
    there = surroundings.floating.get(name, FloatingService())
    claimed = situation.children.get("EndpointSlice", ownership.claim_name(name)) is not None
    obstacle = next(_obstacles(situation, field, name, there, is_claimed=claimed), None)
    return Floating(field, name, "", obstacle, claimed, fields.load_balancer_addresses(there.service or {}))


def _pinned(situation: Situation, field: str, item: FloatingIP, others: Mapping[str, Floating]) -> Floating:
    """Return the address that a Service of the server's own holds, or is to hold."""
    own, address = _own_pins(situation), str(item.address)
    names = ownership.pinned_names(situation.server.name)
    free = (name for name in names if situation.found.get("Service", name) is None and name not in others)
    name = next((name for name, pin in own.items() if pin == address), None) or next(free, None)
    if name is None:
        command = f"kubectl delete service {names[0]} -n {situation.server.namespace}"
        message = f"{field}: Services {', '.join(names)} exist, one of which would hold {address}: {command}"
        return Floating(field, "", address, Obstacle(Reason.SERVICE_NAME_TAKEN, message))
    claimed = situation.children.get("EndpointSlice", ownership.claim_name(name)) is not None
    granted = fields.load_balancer_addresses(situation.children.get("Service", name) or {})
    return Floating(field, name, address, None, claimed, granted)


def _own_pins(situation: Situation) -> dict[str, str]:
    """Return the addresses that the server's own Services ask for, by the Service's name."""
    driver, server = situation.site.driver, situation.server
    services = ((name, situation.children.get("Service", name)) for name in ownership.pinned_names(server.name))
    return {name: driver.pinned_address(service) for name, service in services if service is not None}


def _obstacles(
    situation: Situation, field: str, name: str, there: FloatingService, *, is_claimed: bool
) -> Iterator[Obstacle]:
    """Yield why a server cannot have the address of a Service of its namespace, the gravest first."""
    about, service = f"{field}: Service {name}", there.service
    own = situation.server.name
    if service is None:
        yield Obstacle(Reason.FLOATING_SERVICE_MISSING, f"{about} does not exist: make one of type LoadBalancer")
        return
    if there.server is not None and there.server != own:
        yield Obstacle(
            Reason.FLOATING_SERVICE_CLAIMED, f"{about} was made for VirtualServer {there.server}: {_GOES_ON}"
        )
    if there.server == own:
        yield Obstacle(
            Reason.FLOATING_SERVICE_UNFIT, f"{about} is made for this very server: name a Service of your own"
        )
    if there.holder is not None and there.holder != own:
        message = f"{about}: its address is held by VirtualServer {there.holder}: {_GOES_ON}"
        yield Obstacle(Reason.FLOATING_SERVICE_CLAIMED, message)
    yield from _unfit(about, service, there)
    if is_claimed:
        return
    if there.foreign:
        yield Obstacle(
            Reason.FLOATING_SERVICE_UNFIT,
            f"{about} has endpoints already, in EndpointSlice {_some(there.foreign)}: name another Service, or "
            f"{_deletion(there.foreign[0], service)}",
        )
    if there.claim is not None:
        yield Obstacle(Reason.FLOATING_SERVICE_CLAIMED, f"{about}: {_in_the_way(there.claim)}")


def _unfit(about: str, service: Manifest, there: FloatingService) -> Iterator[Obstacle]:
    spec = fields.mapping(service, "spec")
    if spec.get("type") != "LoadBalancer":
        yield Obstacle(
            Reason.FLOATING_SERVICE_UNFIT,
            f"{about} is of type {spec.get('type') or 'ClusterIP'}, which has no address to lend: make it LoadBalancer",
        )
    elif spec.get("loadBalancerClass"):
        yield Obstacle(
            Reason.FLOATING_SERVICE_UNFIT,
            f"{about} has a loadBalancerClass, so that others give it its address: make one without it",
        )
    if there.selected:
        yield Obstacle(
            Reason.FLOATING_SERVICE_UNFIT,
            f"{about} has a selector that matches {_some(there.selected)}, so that its ports lead there: remove the "
            "selector",
        )


def _in_the_way(claim: Manifest) -> str:
    controller = controller_of(claim) or {}
    name = claim["metadata"]["name"]
    if controller.get("kind") == ownership.VIRTUAL_SERVER.kind:
        return f"EndpointSlice {name} is of VirtualServer {controller.get('name')}, which needs none: it goes soon"
    return f"EndpointSlice {name} is in the way, and was made by nobody of ours: {_deletion(name, claim)}"


def _deletion(name: str, beside: Manifest) -> str:
    """Return the command that deletes an EndpointSlice of an object's namespace."""
    return f"kubectl delete endpointslice {name} -n {beside['metadata']['namespace']}"


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
