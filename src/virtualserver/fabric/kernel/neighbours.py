"""Who is where beside the calling thread's namespace: addresses that it answers for, and MACs at ports of its bridges.

Asked for by hand: pyroute2 asks for the neighbours that were learnt only.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.kernel.messages import attributes, dump
from virtualserver.fabric.kernel.routes import FAMILIES

if TYPE_CHECKING:
    from virtualserver.fabric.desired.state import Address

__all__ = ["BRIDGE_FAMILY", "OF_MASTER", "PERMANENT", "PROXY", "STATIC_FDB", "fdb", "fdb_entry", "proxies"]

BRIDGE_FAMILY: Final = 7
PERMANENT: Final = 0x80
"""State of a neighbour whose hardware address somebody has fixed."""
STATIC_FDB: Final = 0x40
"""State of a hardware address that somebody told a bridge to be at a port."""
PROXY: Final = 0x08
"""Flag of a neighbour that the machine itself answers for."""
OF_MASTER: Final = 0x04
"""Flag of a neighbour that the bridge is to know, not the port itself."""
_GET_NEIGHBOUR, _DESTINATION, _HARDWARE, _MASTER = 30, 1, 2, 9
_ABOUT: Final = struct.Struct("=B3xiHBB")
"""``struct ndmsg``: family, link, state, flags, type."""


def proxies(link: int, version: int = 4) -> set[Address]:
    """Return the addresses for which the machine answers on a link although others have them."""
    found: set[Address] = set()
    for answer in dump(_GET_NEIGHBOUR, _ABOUT.pack(FAMILIES[version], 0, 0, PROXY, 0)):
        _, index, _, flags, _ = _ABOUT.unpack_from(answer)
        if index == link and flags & PROXY:
            found.add(ip_address(dict(attributes(answer[_ABOUT.size :]))[_DESTINATION]))
    return found


def fdb() -> dict[int, set[str]]:
    """Return the hardware addresses that bridges were told to be at their ports, by the port's index."""
    found: dict[int, set[str]] = {}
    for answer in dump(_GET_NEIGHBOUR, _ABOUT.pack(BRIDGE_FAMILY, 0, 0, 0, 0)):
        port, mac, is_static = fdb_entry(answer)
        if is_static:
            found.setdefault(port, set()).add(mac)
    return found


def fdb_entry(answer: bytes) -> tuple[int, str, bool]:
    """Return what one entry of a bridge's forwarding database says, from the body of a message.

    Returns:
        The port's index, the hardware address, and whether somebody told the bridge that frames to it, and from it,
        pass there. Entries of the bridge's own cards, and of what it learnt, say otherwise.
    """
    _, port, state, _, _ = _ABOUT.unpack_from(answer)
    found = dict(attributes(answer[_ABOUT.size :]))
    return port, found.get(_HARDWARE, b"").hex(":"), bool(state & STATIC_FDB) and _MASTER in found
