"""Links, addresses, routes and rules of the network namespace in which the calling thread is, through pyroute2.

`Rtnetlink` is opened for one visit and closed after it. What pyroute2 returns is untyped; it stops here.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import TYPE_CHECKING, Any, Final, Self

from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.kernel.links import link_of
from virtualserver.fabric.kernel.neighbours import OF_MASTER, PERMANENT, PROXY, STATIC_FDB
from virtualserver.fabric.kernel.routes import FAMILIES, asked_route, asked_rule, local_route, routes_of, rule_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from types import TracebackType

    from virtualserver.fabric.desired.state import Address
    from virtualserver.fabric.kernel.links import Bridging, Link
    from virtualserver.fabric.kernel.routes import Route, Rule

__all__ = [
    "Interface",
    "Rtnetlink",
    "spoken_from",
]

Interface = IPv4Interface | IPv6Interface
"""An address of a link and the network that it is in."""

_ABSENT: Final = (2, 3, 19)
"""ENOENT, ESRCH and ENODEV."""
_PRESENT: Final = (17,)
"""EEXIST."""
_INGRESS: Final = ("clsact", "ingress")
_KERNELS_CHOICE: Final = 1 << 31
"""Ports from here on are the kernel's choice. The one below is the number of a process, of whichever PID namespace."""
_spoken: deque[int] = deque(maxlen=1024)


def spoken_from() -> frozenset[int]:
    """Return the netlink ports from which this process has asked the kernel lately: of its notices, these are ours.

    A conversation counts once it is closed. Source: netlink(7), `nl_pid`.
    """
    return frozenset(_spoken)


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
        port: int = self._socket.asyncore.socket.getsockname()[0]
        if port >= _KERNELS_CHOICE:
            _spoken.append(port)
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
        for message in self._socket.get_addr(family=FAMILIES[version]):
            local = message.get("local") or message.get("address")
            found.setdefault(message["index"], set()).add(ip_interface(f"{local}/{message['prefixlen']}"))
        return found

    def routes(self, version: int = 4, table: int | None = None) -> list[Route]:
        """Return the routes of one IP version, of all tables where none is named."""
        selection = {} if table is None else {"table": table}
        with _asking("routes"):
            messages = list(self._socket.get_routes(family=FAMILIES[version], **selection))
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
        return [rule_of(message) for message in self._socket.get_rules(family=FAMILIES[version])]

    def fixed_neighbours(self, version: int = 4) -> list[tuple[int, Address]]:
        """Return index of the link and address of each neighbour whose hardware address somebody has fixed."""
        messages: list[Any] = list(self._socket.get_neighbours(family=FAMILIES[version]))
        return [
            (message["ifindex"], ip_address(message.get("dst")))
            for message in messages
            if message["state"] & PERMANENT and message.get("dst")
        ]

    def add_proxy(self, link: int, address: Address) -> None:
        """Answer for an address on a link; the machine routes it by another."""
        with _asking(f"answers for {address}"):
            self._socket.neigh("replace", dst=str(address), ifindex=link, flags=PROXY, family=FAMILIES[address.version])

    def delete_proxy(self, link: int, address: Address) -> None:
        """Answer for an address no more; one that is not answered for is fine."""
        with _asking(f"answers for {address}", fine=_ABSENT):
            asked = {"dst": str(address), "ifindex": link, "flags": PROXY, "family": FAMILIES[address.version]}
            self._socket.neigh("del", **asked)

    def add_fdb(self, port: int, mac: str) -> None:
        """Tell a bridge that a hardware address is at a port, and at no other."""
        with _asking(f"hardware address {mac}"):
            self._socket.fdb("replace", ifindex=port, lladdr=mac, state=STATIC_FDB, flags=OF_MASTER)

    def delete_fdb(self, port: int, mac: str) -> None:
        """Take back that a hardware address is at a port; one that is not is fine."""
        with _asking(f"hardware address {mac}", fine=_ABSENT):
            self._socket.fdb("del", ifindex=port, lladdr=mac, flags=OF_MASTER)

    def forget_neighbour(self, link: int, address: Address) -> None:
        """Have a neighbour asked for its hardware address again."""
        with _asking(f"neighbour {address}", fine=_ABSENT):
            self._socket.neigh("del", dst=str(address), ifindex=link, family=FAMILIES[address.version])

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
            self._socket.route("replace", **asked_route(route))

    def add_local_route(self, name: str, address: Address) -> None:
        """Make the route by which an address of a link is the machine's own, beside those of other links that have it.

        The kernel makes it with the address; somebody may have taken it away. One that is there is fine.
        """
        route = local_route(address, self.index(name))
        with _asking(f"route to {route.destination}", fine=_PRESENT):
            self._socket.route("append", **asked_route(route))

    def delete_route(self, route: Route) -> None:
        """Remove a route; one that is not there is fine."""
        with _asking(f"route to {route.destination}", fine=_ABSENT):
            self._socket.route("del", **asked_route(route))

    def add_rule(self, rule: Rule, version: int = 4) -> None:
        """Make a rule of policy routing."""
        with _asking(f"rule {rule.priority}"):
            self._socket.rule("add", **asked_rule(rule, version))

    def delete_rules(self, priority: int, version: int = 4) -> None:
        """Remove all rules of policy routing of one priority."""
        for message in list(self._socket.get_rules(family=FAMILIES[version])):
            if message.get("priority") == priority:
                with _asking(f"rule {priority}", fine=_ABSENT):
                    self._socket.rule("del", priority=priority, family=FAMILIES[version], action=message["action"])


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
