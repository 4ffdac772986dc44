"""What the host has without us: its addresses, and routes into networks of an installation that are not its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.fabric.desired.state import CARRIED
from virtualserver.fabric.kernel.routes import MAIN_TABLE, Route
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from virtualserver.fabric.desired.state import Address, Network

__all__ = ["addresses", "foreign_routes", "routes_into"]


def addresses() -> dict[Address, str]:
    """Return the host's addresses, each with the name of its link."""
    with Rtnetlink() as kernel:
        names = {link.index: link.name for link in kernel.links()}
        found = [kernel.addresses(version) for version in (4, 6)]
    return {one.ip: names.get(index, "") for by_link in found for index, ends in by_link.items() for one in ends}


def foreign_routes(own: Iterable[Network], device: str, *, exactly: bool = False) -> list[tuple[Network, str]]:
    """Return each of some networks that the host routes otherwise too, and that route in words.

    Args:
        own: Networks of the installation.
        device: The host's end of the installation's veth pair, whose routes are its own.
        exactly: Whether only routes to the whole network count, in the table that ours are in.
    """
    with Rtnetlink() as kernel:
        names = {link.index: link.name for link in kernel.links()}
        routes = [route for version in CARRIED for route in kernel.routes(version)]
    others = [route for route in routes if names.get(route.link or 0) != device]
    return [
        (network, _words(route, names)) for network in own for route in routes_into(network, others, exactly=exactly)
    ]


def routes_into(network: Network, routes: Iterable[Route], *, exactly: bool) -> Iterator[Route]:
    """Yield the routes to a network or a part of it; pure.

    A link's broadcast address is none: of a pool that ends where the link's network does it is the last address, which
    nobody is given.

    Args:
        network: Where they lead.
        routes: Among which to look.
        exactly: Whether only routes to the whole network count, in the main table.
    """
    for route in routes:
        if exactly:
            if route.destination == network and route.table == MAIN_TABLE:
                yield route
        elif route.kind == "broadcast":
            continue
        elif route.destination.version == network.version and route.destination.subnet_of(network):  # type: ignore[arg-type]
            yield route


def _words(route: Route, names: Mapping[int, str]) -> str:
    words = [] if route.kind == "unicast" else [route.kind]
    words.append(str(route.destination))
    if route.gateway is not None:
        words.append(f"via {route.gateway}")
    if name := names.get(route.link or 0):
        words.append(f"dev {name}")
    if route.table != MAIN_TABLE:
        words.append(f"table {route.table}")
    return " ".join(words)
