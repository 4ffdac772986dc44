"""The bridges of VPCs and their ports.

A port is locked: its bridge takes frames from it of the guest's own hardware address only, which it was told, and
learns none. So a foreign one stays out while the rules, which count it, are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.fabric.kernel import neighbours, taps
from virtualserver.fabric.kernel.links import Bridging

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.fabric.kernel.links import Link
    from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

__all__ = ["BRIDGING", "is_whole", "port_of", "put_port"]

BRIDGING: Final = Bridging()
"""How they pass frames on."""


def is_whole(link: Link) -> bool:
    """Return whether a bridge is as it was made, its settings aside."""
    return link.is_up and (link.mac, link.bridging) == (taps.MAC, BRIDGING)


def port_of(link: Link, links: Mapping[int, Link], macs: set[str]) -> str:
    """Return the value of the entry of a tap that is a port, one that is none where it is not as it should be; pure.

    Args:
        link: The tap.
        links: All links by their index.
        macs: The hardware addresses that its bridge was told to be there.
    """
    bridge = links.get(link.master or 0)
    if bridge is None or not taps.is_port(link):
        return "not as it should be"
    return " ".join((bridge.name, str(link.mtu), *sorted(macs)))


def put_port(kernel: Rtnetlink, name: str, value: str) -> None:
    """Make a tap the port that the value of its entry says, and take it up once nothing but that gets in.

    Raises:
        KernelError: The kernel refused it.
    """
    bridge, mtu, mac = value.split(" ")
    link = kernel.link(name)
    if link is None or not link.is_locked or link.master != kernel.index(bridge):
        kernel.lock_port(name, bridge)
    index = kernel.index(name)
    for other in neighbours.fdb().get(index, set()) - {mac}:
        kernel.delete_fdb(index, other)
    kernel.add_fdb(index, mac)
    kernel.set_up(name, mtu=int(mtu), mac=taps.MAC, master=bridge)
