"""Links, addresses, routes and rules of the network namespace in which the calling thread is, through pyroute2.

`Rtnetlink` is opened for one visit and closed after it. What pyroute2 returns is untyped; it stops here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import struct
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.kernel.messages import attributes, dump

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from types import TracebackType

    from virtualserver.fabric.desired.state import Address, Network

__all__ = [
    "BRIDGE_FAMILY",
    "KERNEL",
    "LOCAL_TABLE",
    "MAIN_TABLE",
    "PERMANENT",
    "STATIC",
    "Interface",
    "Link",
    "Route",
    "Rtnetlink",
    "Rule",
    "fdb_entry",
    "local_route",
]

Interface = IPv4Interface | IPv6Interface
"""An address of a link and the network that it is in."""

MAIN_TABLE: Final = 254
LOCAL_TABLE: Final = 255
KERNEL: Final = 2
"""The protocol number of routes that the kernel makes by itself."""
STATIC: Final = 4
"""The protocol number of routes that we make, as ``proto static`` has it."""
_UP: Final = 1
_NO_ARP: Final = 0x80
_ON_LINK: Final = 4
_KINDS: Final = {1: "unicast", 2: "local", 3: "broadcast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
_TYPES: Final = {kind: number for number, kind in _KINDS.items()}
_LINK_SCOPE: Final = 253
_SCOPES: Final = {"local": 254, "unicast": 0, "unreachable": 0, "broadcast": _LINK_SCOPE}
_FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_TO_TABLE, _PROHIBIT = 1, 8
_ABSENT: Final = (2, 3, 19)
"""ENOENT, ESRCH and ENODEV."""
_PRESENT: Final = (17,)
"""EEXIST."""
_INVERTED: Final = 2
PERMANENT: Final = 0x80
"""State of a neighbour whose hardware address somebody has fixed."""
_GET_NEIGHBOUR, _DESTINATION, _HARDWARE, _MASTER = 30, 1, 2, 9
_ABOUT_NEIGHBOUR: Final = struct.Struct("=B3xiHBB")
"""``struct ndmsg``: family, link, state, flags, type."""
_PROXY: Final = 0x08
"""Flag of a neighbour that the machine itself answers for."""
_OF_MASTER: Final = 0x04
"""Flag of a neighbour that the bridge is to know, not the port itself."""
BRIDGE_FAMILY: Final = 7
_STATIC_FDB: Final = 0x40
_SLAVE: Final = ("linkinfo", "slave_data")
_INGRESS: Final = ("clsact", "ingress")


class Bridging(NamedTuple):
    """How a bridge passes frames on.

    Attributes:
        snooping: Whether it keeps groups' frames from those who did not ask for them.
        reserved: Which frames to the addresses 01:80:c2:00:00:0X are passed on, a bit each.
    """

    snooping: int = 0
    reserved: int = 0xFFF8
    """All that the kernel lets pass: not those of spanning trees' and pause frames, and of bonds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """A network link.

    Attributes:
        index: Its number in its namespace.
        name: Its name there.
        kind: ``veth``, ``tun``, ...; ``""`` for a physical one.
        is_up: Whether it was taken up.
        mtu: In bytes.
        mac: Its hardware address, in lower case with colons; ``""`` for one that has none.
        peer: The index, in another namespace, of what it is tied to, as a veth's other end; None where nothing is.
        user: The UID that may open the tap; None for others.
        master: The index of the bridge that it is a port of; None where it is a port of none.
        bridging: How a bridge passes frames on; None for others.
        is_free: Whether it hangs in no bridge or the like, and ARP works on it.
        is_locked: Whether it is a port whose bridge takes frames from it of hardware addresses only that it was told
            are there, and learns none.
    """

    index: int
    name: str
    kind: str
    is_up: bool
    mtu: int
    mac: str = ""
    peer: int | None = None
    user: int | None = None
    master: int | None = None
    bridging: Bridging | None = None
    is_free: bool = True
    is_locked: bool = False


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


class Rtnetlink:
    """An open conversation with the kernel; a context manager."""

    def __init__(self) -> None:
        """Open it in the calling thread's namespace, for this thread alone."""
        from pyroute2.iproute.linux import IPRoute

        self._socket: Any = IPRoute(strict_check=True)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._socket.close()

    def links(self) -> list[Link]:
        """Return all links."""
        return [link_of(message) for message in self._socket.get_links()]

    def link(self, name: str) -> Link | None:
        """Return one link, None where there is none of this name; reading all takes 0.3 ms for each."""
        with _asking(f"link {name}", fine=_ABSENT):
            messages: list[Any] = list(self._socket.link("get", ifname=name))
            return next(map(link_of, messages), None)
        return None

    def index(self, name: str) -> int:
        """Return a link's index.

        Raises:
            KernelError: There is no such link.
        """
        with _asking(f"link {name}"):
            return socket.if_nametoindex(name)

    def addresses(self, version: int = 4) -> dict[int, set[Interface]]:
        """Return the addresses of one IP version, by their link's index."""
        found: dict[int, set[Interface]] = {}
        for message in self._socket.get_addr(family=_FAMILIES[version]):
            local = message.get("local") or message.get("address")
            found.setdefault(message["index"], set()).add(ip_interface(f"{local}/{message['prefixlen']}"))
        return found

    def routes(self, version: int = 4, table: int | None = None) -> list[Route]:
        """Return the routes of one IP version, of all tables where none is named."""
        selection = {} if table is None else {"table": table}
        with _asking("routes"):
            messages = list(self._socket.get_routes(family=_FAMILIES[version], **selection))
        return [route for message in messages for route in routes_of(message)]

    def way_to(self, address: Address) -> int | None:
        """Return the index of the link by which the machine would send to an address, None where it has no way."""
        return self._way(address, "oif")

    def source_to(self, address: Address) -> Address | None:
        """Return the address that the machine's own packets to another have, None where it has no way to it."""
        found = self._way(address, "prefsrc")
        return ip_address(found) if found else None

    def _way(self, address: Address, field: str) -> Any:
        """Return what the kernel says of the way to an address, None where there is none."""
        with contextlib.suppress(KernelError), _asking(f"way to {address}"):
            messages: list[Any] = list(self._socket.route("get", dst=str(address)))
            return next((message.get(field) for message in messages), None)
        return None

    def rules(self, version: int = 4) -> list[Rule]:
        """Return the rules of one IP version."""
        return [rule_of(message) for message in self._socket.get_rules(family=_FAMILIES[version])]

    def fixed_neighbours(self, version: int = 4) -> list[tuple[int, Address]]:
        """Return index of the link and address of each neighbour whose hardware address somebody has fixed."""
        messages: list[Any] = list(self._socket.get_neighbours(family=_FAMILIES[version]))
        return [
            (message["ifindex"], ip_address(message.get("dst")))
            for message in messages
            if message["state"] & PERMANENT and message.get("dst")
        ]

    def proxies(self, link: int, version: int = 4) -> set[Address]:
        """Return the addresses for which the machine answers on a link although others have them."""
        # pyroute2 asks for the neighbours that were learnt only.
        asked = _ABOUT_NEIGHBOUR.pack(_FAMILIES[version], 0, 0, _PROXY, 0)
        found: set[Address] = set()
        for answer in dump(_GET_NEIGHBOUR, asked):
            _, index, _, flags, _ = _ABOUT_NEIGHBOUR.unpack_from(answer)
            if index == link and flags & _PROXY:
                found.add(ip_address(dict(attributes(answer[_ABOUT_NEIGHBOUR.size :]))[_DESTINATION]))
        return found

    def add_proxy(self, link: int, address: Address) -> None:
        """Answer for an address on a link; the machine routes it by another."""
        with _asking(f"answers for {address}"):
            self._socket.neigh(
                "replace", dst=str(address), ifindex=link, flags=_PROXY, family=_FAMILIES[address.version]
            )

    def delete_proxy(self, link: int, address: Address) -> None:
        """Answer for an address no more; one that is not answered for is fine."""
        with _asking(f"answers for {address}", fine=_ABSENT):
            asked = {"dst": str(address), "ifindex": link, "flags": _PROXY, "family": _FAMILIES[address.version]}
            self._socket.neigh("del", **asked)

    def fdb(self) -> dict[int, set[str]]:
        """Return the hardware addresses that bridges were told to be at their ports, by the port's index."""
        found: dict[int, set[str]] = {}
        for answer in dump(_GET_NEIGHBOUR, _ABOUT_NEIGHBOUR.pack(BRIDGE_FAMILY, 0, 0, 0, 0)):
            port, mac, is_static = fdb_entry(answer)
            if is_static:
                found.setdefault(port, set()).add(mac)
        return found

    def add_fdb(self, port: int, mac: str) -> None:
        """Tell a bridge that a hardware address is at a port, and at no other."""
        with _asking(f"hardware address {mac}"):
            self._socket.fdb("replace", ifindex=port, lladdr=mac, state=_STATIC_FDB, flags=_OF_MASTER)

    def delete_fdb(self, port: int, mac: str) -> None:
        """Take back that a hardware address is at a port; one that is not is fine."""
        with _asking(f"hardware address {mac}", fine=_ABSENT):
            self._socket.fdb("del", ifindex=port, lladdr=mac, flags=_OF_MASTER)

    def forget_neighbour(self, link: int, address: Address) -> None:
        """Have a neighbour asked for its hardware address again."""
        with _asking(f"neighbour {address}", fine=_ABSENT):
            self._socket.neigh("del", dst=str(address), ifindex=link, family=_FAMILIES[address.version])

    def ingress(self) -> list[tuple[str, str]]:
        """Return name of the link and kind of each queueing discipline whose filters see packets as they enter."""
        names = {link.index: link.name for link in self.links()}
        messages: list[Any] = list(self._socket.get_qdiscs())
        return [
            (names[message["index"]], kind)
            for message in messages
            if (kind := str(message.get("kind"))) in _INGRESS and message["index"] in names
        ]

    def add_veth(self, name: str, peer: str, namespace: str, mtu: int) -> None:
        """Make a veth pair with its other end in a namespace."""
        with _asking(f"link {name}"), open(f"/run/netns/{namespace}", "rb") as there:
            ends = {"ifname": peer, "net_ns_fd": there.fileno(), "mtu": mtu}
            self._socket.link("add", ifname=name, kind="veth", mtu=mtu, peer=ends)

    def put_bridge(self, name: str, bridging: Bridging, mac: str) -> None:
        """Make a bridge, or make one that is there so, and take it up."""
        options = {
            "br_mcast_snooping": bridging.snooping,
            "br_group_fwd_mask": bridging.reserved,
        }
        with _asking(f"bridge {name}", fine=_PRESENT):
            self._socket.link("add", ifname=name, kind="bridge", address=mac, state="up", **options)
            return
        with _asking(f"bridge {name}"):
            self._socket.link("set", index=self.index(name), kind="bridge", address=mac, state="up", **options)

    def set_up(self, name: str, *, mtu: int | None = None, mac: str | None = None, master: str = "") -> None:
        """Take a link up, with ARP, in a bridge or (``""``) in none; with another MTU and hardware address if given."""
        more = {key: value for key, value in (("mtu", mtu), ("address", mac)) if value is not None}
        bridge = self.index(master) if master else 0
        with _asking(f"link {name} up"):
            self._socket.link("set", index=self.index(name), state="up", arp=True, master=bridge, **more)

    def lock_port(self, name: str, bridge: str) -> None:
        """Make a link a port of a bridge that lets in nothing yet: it is down until then.

        Raises:
            KernelError: The kernel refused it; it can lock ports since Linux 5.18.
        """
        with _asking(f"port {name} of {bridge}"):
            index = self.index(name)
            self._socket.link("set", index=index, state="down")
            self._socket.link("set", index=index, master=self.index(bridge))
            self._socket.brport("set", index=index, locked=1, learning=0)

    def move(self, name: str, namespace: Path, name_there: str) -> None:
        """Move a link to another namespace, where it gets a name."""
        with _asking(f"link {name}"), namespace.open("rb") as there:
            self._socket.link("set", index=self.index(name), net_ns_fd=there.fileno(), ifname=name_there)

    def delete_link(self, name: str) -> bool:
        """Remove a link, and return whether it was there."""
        with contextlib.suppress(OSError):
            index = socket.if_nametoindex(name)
            with _asking(f"link {name}", fine=_ABSENT):
                self._socket.link("del", index=index)
                return True
        return False

    def add_address(self, name: str, address: Interface) -> None:
        """Give a link an address."""
        with _asking(f"address {address} on {name}"):
            self._socket.addr(
                "replace", index=self.index(name), address=str(address.ip), prefixlen=address.network.prefixlen
            )

    def put_route(self, route: Route) -> None:
        """Make a route, in the place of another to the same destination."""
        with _asking(f"route to {route.destination}"):
            self._socket.route("replace", **_asked(route))

    def add_local_route(self, name: str, address: Address) -> None:
        """Make the route by which an address of a link is the machine's own, beside those of other links that have it.

        The kernel makes it with the address; somebody may have taken it away. One that is there is fine.
        """
        route = local_route(address, self.index(name))
        with _asking(f"route to {route.destination}", fine=_PRESENT):
            self._socket.route("append", **_asked(route))

    def delete_route(self, route: Route) -> None:
        """Remove a route; one that is not there is fine."""
        with _asking(f"route to {route.destination}", fine=_ABSENT):
            self._socket.route("del", **_asked(route))

    def add_rule(self, rule: Rule, version: int = 4) -> None:
        """Make a rule of policy routing."""
        asked: dict[str, Any] = {"priority": rule.priority, "family": _FAMILIES[version]}
        if rule.entering:
            asked["iifname"] = rule.entering
        if rule.without_mark is not None:
            asked |= {"fwmark": rule.without_mark, "flags": _INVERTED}
        asked |= {"action": _PROHIBIT} if rule.table is None else {"table": rule.table, "action": _TO_TABLE}
        with _asking(f"rule {rule.priority}"):
            self._socket.rule("add", **asked)

    def delete_rules(self, priority: int, version: int = 4) -> None:
        """Remove all rules of policy routing of one priority."""
        for message in list(self._socket.get_rules(family=_FAMILIES[version])):
            if message.get("priority") == priority:
                with _asking(f"rule {priority}", fine=_ABSENT):
                    self._socket.rule("del", priority=priority, family=_FAMILIES[version], action=message["action"])


def local_route(address: Address, link: int) -> Route:
    """Return the route by which an address of a link is the machine's own, as the kernel makes it with the address."""
    return Route(ip_network(address), "local", link, source=address, protocol=KERNEL, table=LOCAL_TABLE)


def link_of(message: Any) -> Link:
    """Return the link that a message of the kernel tells of."""
    user = message.get(("linkinfo", "data", "tun_owner")) if message.get(("linkinfo", "kind")) == "tun" else None
    return Link(
        index=message["index"],
        name=message.get("ifname") or "",
        kind=message.get(("linkinfo", "kind")) or "",
        is_up=bool(message["flags"] & _UP),
        mtu=message.get("mtu") or 0,
        mac=message.get("address") or "",
        peer=message.get("link") if message.get("link_netnsid") is not None else None,
        user=user,
        master=message.get("master"),
        bridging=_bridging_of(message) if message.get(("linkinfo", "kind")) == "bridge" else None,
        is_free=not message["flags"] & _NO_ARP and not message.get("master"),
        is_locked=bool(message.get((*_SLAVE, "locked"))) and not message.get((*_SLAVE, "learning")),
    )


def fdb_entry(answer: bytes) -> tuple[int, str, bool]:
    """Return what one entry of a bridge's forwarding database says, from the body of a message.

    Returns:
        The port's index, the hardware address, and whether somebody told the bridge that frames to it, and from it,
        pass there. Entries of the bridge's own cards, and of what it learnt, say otherwise.
    """
    _, port, state, _, _ = _ABOUT_NEIGHBOUR.unpack_from(answer)
    found = dict(attributes(answer[_ABOUT_NEIGHBOUR.size :]))
    return port, found.get(_HARDWARE, b"").hex(":"), bool(state & _STATIC_FDB) and _MASTER in found


def _bridging_of(message: Any) -> Bridging:
    names = ("mcast_snooping", "group_fwd_mask")
    return Bridging(*(int(message.get(("linkinfo", "data", f"br_{name}")) or 0) for name in names))


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


def _asked(route: Route) -> dict[str, Any]:
    """Return how pyroute2 takes a route."""
    asked: dict[str, Any] = {
        "family": _FAMILIES[route.destination.version],
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


@contextlib.contextmanager
def _asking(what: str, *, fine: tuple[int, ...] = ()) -> Generator[None, None, None]:
    """Say what was asked where the kernel refuses it, but for some numbers of errors."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except (NetlinkError, OSError) as error:
        number: Any = getattr(error, "code", None) or getattr(error, "errno", None)
        if number in fine:
            return
        raise KernelError(f"{what}: {error.args[-1]}") from error
