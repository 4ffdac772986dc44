"""Answers for held addresses on the uplink that the owner named: routes, answers to ARP, announcements.

Only addresses that are held are routed and answered for, so that whoever else has one of the pool's networks is reached
as before.
"""

from __future__ import annotations

import contextlib
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import msgspec

from virtualserver.fabric.kernel import arp, neighbours
from virtualserver.fabric.kernel.arp import Arp
from virtualserver.fabric.kernel.routes import STATIC, Route
from virtualserver.host.files import write_atomically

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection
    from pathlib import Path

    from virtualserver.fabric.desired.state import Address, Ranges
    from virtualserver.fabric.kernel.links import Link
    from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

__all__ = ["Answered", "announce", "announcement", "defence", "differs", "listening", "setting_of", "stop", "write"]


def setting_of(uplink: str) -> dict[str, str]:
    """Return the setting by which answers are given at once: by itself the kernel waits for most of a second."""
    return {f"net/ipv4/neigh/{uplink}/proxy_delay": "0"} if uplink else {}


class Answered:
    """The addresses that are answered for, and the link, remembered over a restart of the node."""

    def __init__(self, file: Path, uplink: str) -> None:
        """Read what was answered for last.

        Args:
            file: Where it is remembered.
            uplink: Where it is answered from now on; ``""``: nowhere.
        """
        self._file = file
        self.uplink = uplink
        self.former_uplink = ""
        """Where it was answered before, if that is another link."""
        self.addresses: frozenset[Address] = frozenset()
        with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError, ValueError):
            link, *addresses = msgspec.json.decode(file.read_bytes(), type=list[str])
            self.addresses = frozenset(map(ip_address, addresses))
            self.former_uplink = link if link != uplink else ""

    def change(self, addresses: Collection[Address]) -> bool:
        """Remember other addresses, and return whether they are others."""
        if self.addresses == frozenset(addresses):
            return False
        self.addresses = frozenset(addresses)
        self._write()
        return True

    def moved(self) -> None:
        """Say that nothing is answered for on the former link any more."""
        if self.former_uplink:
            self.former_uplink = ""
            self._write()

    def forget(self) -> None:
        """Forget everything; nothing is answered for any more."""
        self.addresses = frozenset()
        self._file.unlink(missing_ok=True)

    def _write(self) -> None:
        text = msgspec.json.encode([self.uplink, *sorted(map(str, self.addresses))])
        write_atomically(self._file, text, mode=0o644)


def write(kernel: Rtnetlink, answered: Answered, ranges: Ranges, device: str, version: int) -> list[str]:
    """Make routes and answers so, and announce what is new; return what was not, in words.

    A link that is not there is answered on later.

    Args:
        kernel: A conversation in the host.
        answered: Which addresses, and where.
        ranges: The installation's networks.
        device: The host's end of the veth pair.
        version: The IP version.
    """
    networks, index = ranges.answered(version), kernel.index(device)
    whole = ranges.whole(version)
    wanted = {address for address in answered.addresses if any(address in network for network in networks)}
    gateway = ranges.node_end(version).ip
    routes = {Route(ip_network(address), link=index, gateway=gateway) for address in wanted}
    there = {
        route
        for route in kernel.routes(version)
        if route.link == index and route.protocol == STATIC and route.destination.prefixlen == 32
        # A pool of one address is routed as a whole, and no address that is held.
        if route.destination not in whole
    }
    for route in there - routes:
        kernel.delete_route(route)
    for route in routes - there:
        kernel.put_route(route)
    made = [f"route to {route.destination}" for route in sorted(routes - there, key=str)]
    if answered.former_uplink:
        stop(kernel, answered.former_uplink, answered.addresses)
        answered.moved()
    link = kernel.link(answered.uplink) if answered.uplink else None
    if link is None:
        return made
    given = neighbours.proxies(link.index, version)
    for address in given - wanted:
        # What somebody else answers for on the link, outside of our networks, is theirs.
        if any(address in network for network in networks):
            kernel.delete_proxy(link.index, address)
    for address in wanted - given:
        kernel.add_proxy(link.index, address)
    # Also where the link was down for a while: the kernel forgets with it for whom it answers.
    announce(link, wanted - given)
    return made + [f"answer for {address} on {link.name}" for address in sorted(wanted - given, key=str)]


def differs(kernel: Rtnetlink, answered: Answered) -> bool:
    """Return whether an address is not answered for although the link is there."""
    link = kernel.link(answered.uplink)
    return link is not None and bool(answered.addresses - neighbours.proxies(link.index))


def stop(kernel: Rtnetlink, uplink: str, addresses: Collection[Address]) -> None:
    """Answer for addresses on a link no more."""
    link = kernel.link(uplink)
    if link is None:
        return
    for address in addresses:
        kernel.delete_proxy(link.index, address)


def announce(link: Link, addresses: Collection[Address]) -> None:
    """Tell everybody on a link that addresses are here now, so that nobody sends to where they were before."""
    if not addresses:
        return
    with arp.opened(link.name) as sending:
        for address in sorted(addresses, key=str):
            for operation in (arp.REQUEST, arp.REPLY):  # some heed the one only, some the other (RFC 5944, 4.6)
                with contextlib.suppress(OSError):  # a link that is down has nobody to tell
                    sending.send(announcement(link, address, operation))


def listening(link: Link) -> socket.socket:
    """Return a socket that hears what is asked on a link by ARP; it does not block."""
    return arp.opened(link.name, blocking=False)


def defence(frame: bytes, link: Link, addresses: Collection[Address]) -> bytes | None:
    """Return the answer to a machine that asks, before it takes an address, whether that is free; pure.

    Such a question comes in nobody's name (RFC 5227, 2.1), and the kernel answers only those in somebody's.

    Args:
        frame: As it was received.
        link: On which.
        addresses: Those that are held here.
    """
    asked, mac = arp.read(frame), arp.octets(link.mac)
    if asked is None or (asked.operation, asked.address) != (arp.REQUEST, arp.NOBODY) or asked.mac == mac:
        return None
    if ip_address(asked.target) not in addresses:
        return None
    return arp.frame_of(Arp(arp.REPLY, mac, asked.target, asked.mac, asked.address), to=asked.mac)


def announcement(link: Link, address: Address, operation: int = arp.REQUEST) -> bytes:
    """Return the frame that says that an address has the hardware address of a link; pure."""
    target = arp.BROADCAST if operation == arp.REPLY else bytes(6)
    return arp.frame_of(Arp(operation, arp.octets(link.mac), address.packed, target, address.packed))
