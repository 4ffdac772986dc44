"""What a route, or a rule of policy routing, is, and what the kernel tells of one: pure.

What pyroute2 returns is untyped; it stops here.
"""

from __future__ import annotations

import dataclasses
import socket
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtualserver.fabric.desired.state import Address, Network

__all__ = [
    "FAMILIES",
    "KERNEL",
    "LOCAL_TABLE",
    "MAIN_TABLE",
    "STATIC",
    "Route",
    "Rule",
    "asked_route",
    "asked_rule",
    "local_route",
    "routes_of",
    "rule_of",
]

FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
"""The kernel's number of each IP version."""
MAIN_TABLE: Final = 254
LOCAL_TABLE: Final = 255
KERNEL: Final = 2
"""The protocol number of routes that the kernel makes by itself."""
STATIC: Final = 4
"""The protocol number of routes that we make, as ``proto static`` has it."""
_ON_LINK: Final = 4
_KINDS: Final = {1: "unicast", 2: "local", 3: "broadcast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
_TYPES: Final = {kind: number for number, kind in _KINDS.items()}
_LINK_SCOPE: Final = 253
_SCOPES: Final = {"local": 254, "unicast": 0, "unreachable": 0, "broadcast": _LINK_SCOPE}
_TO_TABLE, _PROHIBIT = 1, 8
_INVERTED: Final = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """A route of one hop; one over several links is several of these.

    Attributes:
        destination: The network; of length 0 for a default route.
        kind: ``unicast``, ``local``, ``broadcast``, ``unreachable``, ...
        link: The index of the link that it leaves by, None where it goes nowhere.
        gateway: The next hop, None where the destination is on the link.
        source: The address that the machine's own packets have, None where the kernel chooses.
        protocol: Who made it; `STATIC` for us.
        table: The routing table.
    """

    destination: Network
    kind: str = "unicast"
    link: int | None = None
    gateway: Address | None = None
    source: Address | None = None
    protocol: int = STATIC
    table: int = MAIN_TABLE


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """A rule of policy routing.

    Attributes:
        priority: The rules are asked in this order.
        entering: The link by which a packet enters, ``lo`` for the machine's own; ``""`` for any.
        without_mark: The mark that a packet must not have; None where marks do not matter.
        table: Where to look; None to refuse the packet.
    """

    priority: int
    entering: str = ""
    without_mark: int | None = None
    table: int | None = None


def local_route(address: Address, link: int) -> Route:
    """Return the route by which an address of a link is the machine's own, as the kernel makes it with the address."""
    return Route(ip_network(address), "local", link, source=address, protocol=KERNEL, table=LOCAL_TABLE)


def routes_of(message: Any) -> Iterator[Route]:
    """Yield the routes that a message of the kernel tells of: one for each of its links."""
    anywhere = "0.0.0.0" if message["family"] == socket.AF_INET else "::"  # noqa: S104 - no listener
    destination = ip_network(f"{message.get('dst') or anywhere}/{message['dst_len']}")
    hops = message.get("multipath") or ()
    for link, gateway in [(hop["oif"], hop.get("gateway")) for hop in hops] or [
        (message.get("oif"), message.get("gateway"))
    ]:
        source = message.get("prefsrc")
        yield Route(
            destination=destination,
            kind=_KINDS.get(message["type"], str(message["type"])),
            link=link,
            gateway=ip_address(gateway) if gateway else None,
            source=ip_address(source) if source else None,
            protocol=message["proto"],
            table=message.get("table") or 0,
        )


def rule_of(message: Any) -> Rule:
    """Return the rule that a message of the kernel tells of; what it tells beside is not in it."""
    return Rule(
        priority=message.get("priority") or 0,
        entering=message.get("iifname") or "",
        without_mark=message.get("fwmark") if message["flags"] & _INVERTED else None,
        table=message.get("table") if message["action"] == _TO_TABLE else None,
    )


def asked_route(route: Route) -> dict[str, Any]:
    """Return how pyroute2 takes a route."""
    asked: dict[str, Any] = {
        "family": FAMILIES[route.destination.version],
        "dst": str(route.destination),
        "type": _TYPES[route.kind],
        "proto": route.protocol,
        "table": route.table,
        "scope": _SCOPES.get(route.kind, 0) if route.gateway or route.kind != "unicast" else _LINK_SCOPE,
    }
    if route.link is not None:
        asked["oif"] = route.link
    if route.gateway is not None:
        # The link's own route may be gone, which is no reason to go without this one.
        asked |= {"gateway": str(route.gateway), "flags": _ON_LINK}
    if route.source is not None:
        asked["prefsrc"] = str(route.source)
    return asked


def asked_rule(rule: Rule, version: int) -> dict[str, Any]:
    """Return how pyroute2 takes a rule."""
    asked: dict[str, Any] = {"priority": rule.priority, "family": FAMILIES[version]}
    if rule.entering:
        asked["iifname"] = rule.entering
    if rule.without_mark is not None:
        asked |= {"fwmark": rule.without_mark, "flags": _INVERTED}
    return asked | ({"action": _PROHIBIT} if rule.table is None else {"table": rule.table, "action": _TO_TABLE})
