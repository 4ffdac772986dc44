"""What the kernel tells about one network namespace without being asked: links, addresses, routes, rules, nftables.

`Notices` only collects, so that nothing is lost while others work; what a notice means is judged later, against what is
wanted by then: `doubts_inside` and `doubts_in_host`, which are pure. A doubt costs one look and no more, so a judgement
may be too careful now and then, but not after each change of our own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Any, Final

from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.ledger import Entry
from virtualserver.fabric.kernel import bridges, taps
from virtualserver.fabric.kernel.attachment import INNER
from virtualserver.fabric.kernel.links import Link, link_of
from virtualserver.fabric.kernel.messages import attributes, split
from virtualserver.fabric.kernel.neighbours import BRIDGE_FAMILY, PERMANENT, fdb_entry
from virtualserver.fabric.kernel.routes import KERNEL, LOCAL_TABLE, Route, routes_of
from virtualserver.fabric.kernel.rtnetlink import spoken_from

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from virtualserver.fabric.desired.ledger import Wanted
    from virtualserver.fabric.desired.state import Network

__all__ = ["Changed", "Notices", "doubts_in_host", "doubts_inside", "told_of"]

_MEMBERSHIP: Final = 270, 1
_ROUTE, _NETFILTER = 0, 12
_LINKS, _NEIGHBOURS, _IPV4_ADDRESSES, _IPV4_ROUTES, _IPV4_RULES, _IPV4_SETTINGS = 1, 3, 5, 7, 8, 24
_NFTABLES: Final = 7
_NEW_LINK, _DEL_LINK, _NEW_ADDRESS, _DEL_ADDRESS, _NEW_ROUTE, _DEL_ROUTE = 16, 17, 20, 21, 24, 25
_NEW_NEIGHBOUR, _DEL_NEIGHBOUR, _NEW_RULE, _DEL_RULE, _NEW_SETTINGS = 28, 29, 32, 33, 80
_SETTINGS: Final = {2: "forwarding", 3: "rp_filter", 5: "proxy_arp"}
_OF_A_TAP: Final = {"forwarding": 1, "rp_filter": 1, "proxy_arp": 1}
_OF_A_BRIDGE: Final = {"forwarding": 0, "rp_filter": 1, "proxy_arp": 0}
_PORT_INFO, _LEARNING, _LOCKED = 12, 8, 39
_HEADER: Final = 16
"""Bytes before a message's body, and before the attributes of one about a link."""
_SO_RCVBUFFORCE: Final = 33
_BUFFER: Final = 4 << 20
"""Bytes that may wait to be read: a flush of some 10,000 elements at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Changed:
    """What became of links, addresses, routes, rules and settings of one namespace since it was last asked.

    Attributes:
        links: The last notice of each link by its name, None where it went away.
        gone: The indexes of links that went away.
        addresses: The index of the link of each address that went away or came.
        routes: The last notice of each route: whether it is there.
        rules: Whether a rule went away or came.
        settings: Settings by the index of their device, below 0 for all and for new ones.
        lost: Whether notices were lost, as there were too many at once.
        neighbours: The index of the link of each neighbour of IPv4 whose hardware address was fixed.
        ports: By the index of a bridge's port: whether it is locked.
        at_ports: By the index of a bridge's port and a hardware address: whether the bridge is told that it is there.
    """

    links: Mapping[str, Link | None]
    gone: frozenset[int]
    addresses: frozenset[int]
    routes: Mapping[Route, bool]
    rules: bool
    settings: Mapping[int, Mapping[str, int]]
    lost: bool = False
    neighbours: frozenset[int] = frozenset()
    ports: Mapping[int, bool] = dataclasses.field(default_factory=dict[int, bool])
    at_ports: Mapping[tuple[int, str], bool] = dataclasses.field(default_factory=dict[tuple[int, str], bool])


class Notices:
    """The sockets; made in the thread that is in the namespace, then read by the event loop."""

    def __init__(self) -> None:
        """Begin to be told."""
        self._routing = _told(_ROUTE, (_LINKS, _NEIGHBOURS, _IPV4_ADDRESSES, _IPV4_ROUTES, _IPV4_RULES, _IPV4_SETTINGS))
        self._nftables = _told(_NETFILTER, (_NFTABLES,))
        self._messages: list[bytes] = []
        self._lost = False
        self.namespace = os.stat("/proc/thread-self/ns/net").st_ino
        """The number of the namespace."""

    def follow(self, arrived: asyncio.Event) -> None:
        """Set an event whenever something is told, from now on."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._routing, self._read, self._routing, arrived)
        loop.add_reader(self._nftables, self._read, self._nftables, arrived)

    def take(self) -> Changed:
        """Return what changed since the last time; of nftables, the generation says enough."""
        messages, lost = self._messages, self._lost
        self._messages, self._lost = [], False
        return told_of(messages, own=spoken_from(), lost=lost)

    def close(self) -> None:
        """Be told no more."""
        loop = asyncio.get_running_loop()
        for opened in (self._routing, self._nftables):
            loop.remove_reader(opened)
            opened.close()

    def _read(self, opened: socket.socket, arrived: asyncio.Event) -> None:
        try:
            while True:
                message = opened.recv(1 << 16)
                if opened is self._routing:
                    self._messages.append(message)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._lost = True
        arrived.set()


def told_of(messages: Iterable[bytes], *, own: Collection[int], lost: bool = False) -> Changed:
    """Return what some messages of the kernel tell of; what this process asked for itself is left out.

    Args:
        messages: As they were received.
        own: The netlink ports from which this process asked.
        lost: Whether others were lost.
    """
    links: dict[str, Link | None] = {}
    gone: set[int] = set()
    addresses: set[int] = set()
    routes: dict[Route, bool] = {}
    settings: dict[int, dict[str, int]] = {}
    rules = False
    neighbours: set[int] = set()
    ports: dict[int, bool] = {}
    at_ports: dict[tuple[int, str], bool] = {}
    for kind, port, data in (one for message in messages for one in split(message)):
        asked_by_us = port in own
        if kind in (_NEW_LINK, _DEL_LINK):
            if data[_HEADER] == BRIDGE_FAMILY:
                # That it is a port, or is none any more, the link's own notice says too.
                if kind == _NEW_LINK:
                    ports.update(_port_of(data))
                continue
            link = link_of(_decoded(kind, data))
            links[link.name] = link if kind == _NEW_LINK else None
            if kind == _DEL_LINK:
                gone.add(link.index)
        elif kind == _NEW_SETTINGS:
            index, values = _settings_of(data)
            settings.setdefault(index, {}).update(values)
        elif kind in (_NEW_NEIGHBOUR, _DEL_NEIGHBOUR) and data[_HEADER] == BRIDGE_FAMILY:
            # The kernel does not say who asked for it.
            port_index, mac, is_static = fdb_entry(data[_HEADER:])
            at_ports[port_index, mac] = is_static and kind == _NEW_NEIGHBOUR
        elif asked_by_us:
            continue
        elif kind == _NEW_NEIGHBOUR:
            family, link, state = struct.unpack_from("=B3xiH", data, 16)
            if family == socket.AF_INET and state & PERMANENT:
                neighbours.add(link)
        elif kind in (_NEW_ADDRESS, _DEL_ADDRESS):
            addresses.add(struct.unpack_from("=I", data, 20)[0])
        elif kind in (_NEW_ROUTE, _DEL_ROUTE):
            routes.update(dict.fromkeys(routes_of(_decoded(kind, data)), kind == _NEW_ROUTE))
        elif kind in (_NEW_RULE, _DEL_RULE):
            rules = True
    return Changed(
        links=links,
        gone=frozenset(gone),
        addresses=frozenset(addresses),
        routes=routes,
        rules=rules,
        settings=settings,
        lost=lost,
        neighbours=frozenset(neighbours),
        ports=ports,
        at_ports=at_ports,
    )


def doubts_inside(changed: Changed, wanted: Wanted, *, mtu: int) -> bool:
    """Return whether the namespace may not be what is wanted any more; pure.

    Args:
        changed: What the kernel told of.
        wanted: The entries that somebody asks for.
        mtu: Of all links, in bytes.
    """
    return (
        changed.lost
        or changed.rules
        or bool(changed.neighbours)
        or bool(changed.addresses - changed.gone)
        or any(_link_is_doubtful(name, link, wanted, mtu) for name, link in changed.links.items())
        or _ports_are_doubtful(changed, wanted)
        or any(_route_is_doubtful(route, there, changed, wanted) for route, there in changed.routes.items())
        or any(
            index > 0 and index not in changed.gone and values.items() - _settings_wanted(index, changed).items()
            for index, values in changed.settings.items()
        )
        or any(index < 0 for index in changed.settings)
    )


def doubts_in_host(changed: Changed, device: str, own: Iterable[Network], uplinks: Mapping[str, int]) -> bool:
    """Return whether the host's part may not be what is wanted any more; pure.

    Args:
        changed: What the kernel told of.
        device: The host's end of the veth pair.
        own: The networks that are routed to it, and the pair's.
        uplinks: The MTU of each link by which the host reached the outside, by its name.
    """
    networks = set(own)
    return (
        changed.lost
        or changed.rules
        or bool(changed.neighbours)
        or device in changed.links
        or any(name in uplinks and (not link or link.mtu != uplinks[name]) for name, link in changed.links.items())
        or bool(changed.addresses)
        or bool(changed.settings)
        or any(
            route.table == LOCAL_TABLE or route.destination in networks or route.destination.prefixlen <= 1
            for route in changed.routes
        )
    )


def _link_is_doubtful(name: str, link: Link | None, wanted: Wanted, mtu: int) -> bool:
    if name == INNER:
        return True
    if name == "lo":
        return link is None or not (link.is_up and link.is_free)
    if link is not None and link.kind == "bridge":
        return Entry(entries.BRIDGE, name) not in wanted or not bridges.is_whole(link)
    tap = Entry(entries.TAP, name)
    if link is None or tap not in wanted:
        was_ours = tap in wanted or Entry(entries.BRIDGE, name) in wanted
        return was_ours or (link is not None and link.kind == "tun")
    if port := wanted.get(Entry(entries.PORT, name)):
        return not taps.is_port(link) or port.split(" ")[1] != str(link.mtu)
    return Entry(entries.TAP_UP, name) in wanted and not taps.is_whole(link, mtu)


def _ports_are_doubtful(changed: Changed, wanted: Wanted) -> bool:
    opened = {index for index, is_locked in changed.ports.items() if not is_locked}
    if opened - changed.gone:
        return True
    names = {link.index: link.name for link in changed.links.values() if link is not None}
    for (index, mac), is_told in changed.at_ports.items():
        if index in changed.gone:
            continue
        # A port of which nothing else is told is an old one, at which somebody was.
        port = wanted.get(Entry(entries.PORT, names.get(index, ""))) or ""
        if index not in names or is_told != (port.rpartition(" ")[2] == mac):
            return True
    return False


def _settings_wanted(index: int, changed: Changed) -> Mapping[str, int]:
    bridges = (link for link in changed.links.values() if link is not None and link.kind == "bridge")
    return _OF_A_BRIDGE if any(link.index == index for link in bridges) else _OF_A_TAP


def _route_is_doubtful(route: Route, there: bool, changed: Changed, wanted: Wanted) -> bool:
    if route.protocol == KERNEL:
        # The kernel's own routes come and go with addresses and links, but may be taken away by themselves.
        return not there and route.link not in changed.gone
    entry = Entry(entries.ROUTE, str(route.destination.network_address))
    if route.destination.prefixlen != route.destination.max_prefixlen:
        return True
    return there or entry in wanted


def _told(protocol: int, groups: Iterable[int]) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    opened.bind((0, 0))  # with no number of its own it would be taken for the sender
    for group in groups:
        opened.setsockopt(*_MEMBERSHIP, group)
    return opened


def _decoded(kind: int, data: bytes) -> Any:
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    message: Any = (ifinfmsg if kind in (_NEW_LINK, _DEL_LINK) else rtmsg)(data)
    message.decode()
    return message


def _port_of(data: bytes) -> Iterator[tuple[int, bool]]:
    """Yield the index of the port that a notice of a bridge is about, and whether it is locked."""
    for kind, content in attributes(data[2 * _HEADER :]):
        if kind == _PORT_INFO:
            values = {one: value[0] for one, value in attributes(content) if value}
            yield (
                struct.unpack_from("=i", data, _HEADER + 4)[0],
                bool(values.get(_LOCKED) and not values.get(_LEARNING)),
            )


def _settings_of(data: bytes) -> tuple[int, dict[str, int]]:
    """Return the index of the device that a notice of settings is about, and their values."""
    index, values = 0, dict[str, int]()
    offset = 20  # after the header, and the family in one of four bytes
    while offset + 8 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        (value,) = struct.unpack_from("=i", data, offset + 4)
        if kind == 1:
            index = value
        elif kind in _SETTINGS:
            values[_SETTINGS[kind]] = value
        offset += max(length + -length % 4, 4)
    return index, values
