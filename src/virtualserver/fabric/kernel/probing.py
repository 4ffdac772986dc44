"""Asks on a link who has an address, before it is used there. Source: RFC 5227, 2.1."""

from __future__ import annotations

import contextlib
import select
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.kernel import arp
from virtualserver.fabric.kernel.arp import Arp
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection

    from virtualserver.fabric.desired.state import Address

__all__ = ["answer_in", "probe", "question"]

_TRIES: Final = 3
_TRY_SECONDS: Final = 0.3


def probe(uplink: str, addresses: Collection[Address]) -> dict[Address, str] | None:
    """Return who answers for addresses on a link: the hardware address, by the address; takes a second at most.

    Each is asked for in nobody's name, as a machine does that is about to take it, and in this machine's: who answers
    for others (a router, another machine like this one) answers the second question only.

    Args:
        uplink: The link's name.
        addresses: Of one IP version; addresses of this machine itself are never answered for.

    Returns:
        None where the link is not there, or is down, so that nothing is known.
    """
    with Rtnetlink() as kernel:
        link = kernel.link(uplink)
        own = kernel.addresses().get(link.index, ()) if link else ()
    if link is None or not link.is_up:
        return None
    mac = arp.octets(link.mac)
    names = [arp.NOBODY, *(end.ip.packed for end in own)][:2]
    found: dict[Address, str] = {}
    with arp.opened(uplink) as asking:
        for _ in range(_TRIES):
            for address in [one for one in addresses if one not in found]:
                for name in names:
                    with contextlib.suppress(OSError):
                        asking.send(question(mac, name, address))
            _listen(asking, mac, addresses, found)
            if len(found) == len(addresses):
                break
    return found


def _listen(asking: socket.socket, mac: bytes, addresses: Collection[Address], found: dict[Address, str]) -> None:
    end = time.monotonic() + _TRY_SECONDS
    while (left := end - time.monotonic()) > 0 and select.select([asking], [], [], left)[0]:
        answer = answer_in(asking.recv(1514), mac)
        if answer is not None and answer[0] in addresses:
            found.setdefault(*answer)


def question(mac: bytes, name: bytes, address: Address) -> bytes:
    """Return the frame that asks who has an address; pure.

    Args:
        mac: Of who asks.
        name: The address in whose name it is asked; zeros for nobody's.
        address: Who is asked for.
    """
    return arp.frame_of(Arp(arp.REQUEST, mac, name, bytes(6), address.packed))


def answer_in(frame: bytes, own: bytes) -> tuple[Address, str] | None:
    """Return which address another machine says that it has, and its hardware address; pure.

    Args:
        frame: As it was received.
        own: The hardware address of this machine's link.
    """
    said = arp.read(frame)
    if said is None or said.mac == own or said.address == arp.NOBODY:
        return None
    return ip_address(said.address), said.mac.hex(":")
