"""What the ends of the veth pair need of routes, rules of routing and neighbours, put back."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.kernel import ruleset
from virtualserver.fabric.kernel.routes import KERNEL, LOCAL_TABLE, MAIN_TABLE, Route, Rule, local_route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.state import Interface
    from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

__all__ = ["neighbours", "own_routes", "routes", "rules", "to_link"]

_RULES: Final = (
    Rule(0, table=LOCAL_TABLE),
    Rule(40, entering="lo", table=MAIN_TABLE),
    Rule(50, without_mark=ruleset.MARK),
    Rule(32766, table=MAIN_TABLE),
)
"""The namespace's own packets go their way; others are refused unless the guard marked them. The first and the last one
are the kernel's own, which somebody may take away too. No other is to be there: it could lead past these."""
_DEFAULT_RULE: Final = 32767
"""The kernel's own look into a table that is empty."""


def rules(kernel: Rtnetlink, version: int) -> list[str]:
    """Make the rules of routing so, and take others away; return what was not so, in words."""
    there = kernel.rules(version)
    foreign = {rule.priority for rule in there if rule not in _RULES and rule.priority != _DEFAULT_RULE}
    # Of one priority all go: the kernel is not told which.
    missing = [rule for rule in _RULES if rule not in there or rule.priority in foreign]
    for priority in foreign:
        kernel.delete_rules(priority, version)
    for rule in missing:
        kernel.add_rule(rule, version)
    return [f"rule of routing {priority}" for priority in sorted({rule.priority for rule in missing} | foreign)]


def routes(kernel: Rtnetlink, wanted: Iterable[Route], version: int) -> list[str]:
    """Make routes unless they are there; return what was missing, in words."""
    there = {route for table in (MAIN_TABLE, LOCAL_TABLE) for route in kernel.routes(version, table)}
    missing = [route for route in wanted if route not in there]
    for route in missing:
        kernel.put_route(route)
    return [f"route to {route.destination}" for route in missing]


def own_routes(end: Interface, index: int) -> list[Route]:
    """Return the routes by which the address of a link is the machine's own, as the kernel makes them with it."""
    network = end.network
    first = local_route(end.ip, index)
    last = dataclasses.replace(first, destination=ip_network(network.broadcast_address), kind="broadcast")
    loopback = [dataclasses.replace(first, destination=network)] if end.ip.is_loopback else []
    return [first, *loopback, last]


def to_link(end: Interface, index: int) -> Route:
    """Return the route to the pair itself as the kernel makes it with the address; somebody may have taken it away."""
    return Route(end.network, link=index, source=end.ip, protocol=KERNEL)


def neighbours(kernel: Rtnetlink, version: int, *, only: int | None = None) -> list[str]:
    """Forget the hardware addresses that somebody has fixed, on one link or on all; ours are all learnt."""
    fixed = [one for one in kernel.fixed_neighbours(version) if only in (None, one[0])]
    for link, address in fixed:
        kernel.forget_neighbour(link, address)
    return [f"neighbour {address}" for _, address in fixed]
