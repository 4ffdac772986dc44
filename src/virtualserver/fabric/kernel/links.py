"""What a network link is, and what the kernel tells of one: pure.

What pyroute2 returns is untyped; it stops here.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final, NamedTuple

__all__ = ["Bridging", "Link", "link_of"]

_UP: Final = 1
_NO_ARP: Final = 0x80
_SLAVE: Final = ("linkinfo", "slave_data")


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


def _bridging_of(message: Any) -> Bridging:
    names = ("mcast_snooping", "group_fwd_mask")
    return Bridging(*(int(message.get(("linkinfo", "data", f"br_{name}")) or 0) for name in names))
