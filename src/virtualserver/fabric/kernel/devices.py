"""The entries of the namespace's kernel: read, and changed by deltas. Every function is called inside the namespace.

A device that stands in no set may send nothing, so the door is closed before a tap is up whatever the order here.
"""

from __future__ import annotations

from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.ledger import Delta, Entry
from virtualserver.fabric.desired.names import PORT_PREFIX
from virtualserver.fabric.desired.state import CARRIED, GATEWAYS
from virtualserver.fabric.kernel import bridges, conntrack, elements, neighbours, settings, taps
from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.kernel.routes import LOCAL_TABLE, STATIC, Route
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from virtualserver.fabric.desired.state import Interface
    from virtualserver.fabric.kernel.links import Link
    from virtualserver.fabric.kernel.netfilter import Netfilter
    from virtualserver.fabric.kernel.pending_cuts import PendingCuts

__all__ = ["change", "fit", "read"]

_DEVICES: Final = frozenset((entries.BRIDGE, entries.TAP, entries.TAP_UP, entries.PORT, entries.ROUTE))

_LOOPBACK = 1
"""The index of ``lo`` in every network namespace."""


def read(netfilter: Netfilter, mtu: int) -> dict[Entry, str]:
    """Return the elements, taps and routes that are there; from now on others' changes of nftables are seen as such.

    Args:
        netfilter: Of the namespace.
        mtu: Of taps, in bytes; a tap of another one is not as it should be.
    """
    generation = netfilter.generation()
    found = elements.elements(netfilter.tables())
    netfilter.trust(generation)
    with Rtnetlink() as kernel:
        links = {link.index: link for link in kernel.links()}
        addresses = [kernel.addresses(version) for version in CARRIED]
        routes = [route for version in CARRIED for route in kernel.routes(version)]
    at_ports = neighbours.fdb()
    own = {(route.destination, route.link) for route in routes if route.kind == "local"}
    for link in links.values():
        if link.kind == "tun":
            found[Entry(entries.TAP, link.name)] = str(link.user)
            if link.master is not None:
                found[Entry(entries.PORT, link.name)] = bridges.port_of(link, links, at_ports.get(link.index, set()))
                continue
            there = {one for of in addresses for one in of.get(link.index, ()) if (one.network, link.index) in own}
            if taps.is_whole(link, mtu) and _gateways() <= there and not settings.differing(settings.of_tap(link.name)):
                found[Entry(entries.TAP_UP, link.name)] = ""
        elif link.kind == "bridge":
            is_whole = bridges.is_whole(link) and not settings.differing(settings.of_bridge(link.name))
            found[Entry(entries.BRIDGE, link.name)] = "" if is_whole else "not as it should be"
    found.update(route_entries(routes, links))
    return found


def route_entries(routes: Iterable[Route], links: dict[int, Link]) -> Iterator[tuple[Entry, str]]:
    """Yield the entry of each route to a single address that is of our making, and where it leads; pure.

    Where there are two, the address being ours and a guest's at once, the value names both.
    """
    found: dict[str, set[str]] = {}
    for route in routes:
        if route.protocol != STATIC or route.destination.prefixlen != route.destination.max_prefixlen:
            continue
        if route.kind not in ("unicast", "local"):
            continue  # nowhere: a pool of one address, of which nobody has it
        link = links.get(route.link or 0)
        target = entries.LOCAL if route.kind == "local" else link.name if link else ""
        found.setdefault(str(route.destination.network_address), set()).add(target)
    for address, targets in found.items():
        yield Entry(entries.ROUTE, address), " ".join(sorted(targets))


def change(netfilter: Netfilter, delta: Delta, mtu: int, ends: Sequence[conntrack.Flows], pending: PendingCuts) -> None:
    """Change elements, taps and routes, and cut the flows of what was taken away.

    The elements change first and at once. What the kernel refuses of them leaves all as it was. What is to be cut is
    written down before: once the elements are changed, no difference tells of it any more.

    Args:
        netfilter: Of the namespace.
        delta: What to change; entries that are not the kernel's are left out.
        mtu: Of taps, in bytes.
        ends: The flows that end with it, `cuts` of the delta.
        pending: What is still to be cut of earlier changes; it is cut too.

    Raises:
        KernelError: The kernel refused a part; the message says which.
    """
    before = pending.flows
    pending.keep(tuple(dict.fromkeys((*before, *ends))))
    if commands := elements.transaction(delta):
        try:
            netfilter.load(commands)
        except KernelError:
            pending.keep(before)
            raise
    try:
        if any(entry.kind in _DEVICES for entry in (*delta.removed, *delta.added)):
            with Rtnetlink() as kernel:
                _change_devices(kernel, delta, mtu)
    finally:
        conntrack.forget(netfilter, pending.flows)
        pending.forget()


def _change_devices(kernel: Rtnetlink, delta: Delta, mtu: int) -> None:
    gone = delta.removed.keys()
    # Deleting a tap takes its routes along, so routes go first; a route whose tap is gone already is in no delta.
    for entry, value in delta.removed.items():
        if entry.kind == entries.ROUTE:
            for target in _not_replaced(value, delta.added.get(entry)):
                kernel.delete_route(_route(kernel, entry.key, target))
    for entry in delta.removed:
        if entry.kind == entries.TAP:
            kernel.delete_link(entry.key)
        elif entry.kind == entries.PORT and entry not in delta.added and Entry(entries.TAP, entry.key) not in gone:
            kernel.set_up(entry.key, master="")
    for entry in delta.removed:
        if entry.kind == entries.BRIDGE and entry not in delta.added:
            kernel.delete_link(entry.key)
    for entry in delta.added:
        if entry.kind == entries.BRIDGE:
            kernel.put_bridge(entry.key, bridges.BRIDGING, taps.MAC)
            settings.write(settings.of_bridge(entry.key))
    for entry, value in delta.added.items():
        if entry.kind == entries.TAP:
            kernel.delete_link(entry.key)  # another kind of device of this name
            taps.add_tap(entry.key, int(value))
    for entry in delta.added:
        if entry.kind == entries.TAP_UP:
            settings.write(settings.of_tap(entry.key))
            for gateway in _gateways():
                kernel.add_address(entry.key, gateway)
                kernel.add_local_route(entry.key, gateway.ip)
            kernel.set_up(entry.key, mtu=mtu, mac=taps.MAC)
    for entry, value in delta.added.items():
        if entry.kind == entries.PORT:
            bridges.put_port(kernel, entry.key, value)
    for entry, value in delta.added.items():
        if entry.kind == entries.ROUTE:
            kernel.put_route(_route(kernel, entry.key, value))


def _not_replaced(present: str, wanted: str | None) -> Iterator[str]:
    """Yield where routes to an address lead that are to go; pure.

    A new route takes the place of one in the same table. Those to taps are in another one than those to ourselves.
    """
    for target in present.split(" "):
        if wanted is None or (target == entries.LOCAL) != (wanted == entries.LOCAL):
            yield target


def fit(mtu: int) -> None:
    """Give each tap of a cluster NIC another MTU, in bytes, since the way to the outside has another."""
    with Rtnetlink() as kernel:
        for link in kernel.links():
            if link.kind == "tun" and not link.name.startswith(PORT_PREFIX) and link.mtu != mtu:
                kernel.set_up(link.name, mtu=mtu)


def _route(kernel: Rtnetlink, address: str, target: str) -> Route:
    if target == entries.LOCAL:
        return Route(ip_network(address), kind="local", link=_LOOPBACK, table=LOCAL_TABLE)
    return Route(ip_network(address), link=kernel.index(target))


def _gateways() -> set[Interface]:
    return {ip_interface(gateway) for gateway in GATEWAYS}
