"""Asks on a link who has an address, before it is used there. Source: RFC 5227, 2.1."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

if TYPE_CHECKING:
    from collections.abc import Collection

    from virtualserver.fabric.desired.state import Address

__all__ = ["answer_in", "probe", "question"]

_ARP: Final = 0x0806
_TRIES: Final = 3
_TRY_SECONDS: Final = 0.3
_NOBODY: Final = bytes(4)


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
    mac = bytes.fromhex(link.mac.replace(":", ""))
    names = [_NOBODY, *(end.ip.packed for end in own)][:2]
    found: dict[Address, str] = {}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP)) as asking:
        asking.bind((uplink, _ARP))
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
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + name + bytes(6) + address.packed
    return b"\xff" * 6 + mac + struct.pack("!H", _ARP) + arp


def answer_in(frame: bytes, own: bytes) -> tuple[Address, str] | None:
    """Return which address another machine says that it has, and its hardware address; pure.

    Args:
        frame: As it was received.
        own: The hardware address of this machine's link.
    """
    if len(frame) < 42 or struct.unpack_from("!HHHBB", frame, 12) != (_ARP, 1, 0x0800, 6, 4):
        return None
    mac, name = frame[22:28], frame[28:32]
    if mac == own or name == _NOBODY:
        return None
    return ip_address(name), mac.hex(":")
