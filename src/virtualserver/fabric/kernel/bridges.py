"""How the bridges of VPCs are to be, as links: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.fabric.kernel import taps
from virtualserver.fabric.kernel.rtnetlink import Bridging

if TYPE_CHECKING:
    from virtualserver.fabric.kernel.rtnetlink import Link

__all__ = ["BRIDGING", "is_whole"]

BRIDGING: Final = Bridging()
"""How they pass frames on."""


def is_whole(link: Link) -> bool:
    """Return whether a bridge is as it was made, its settings aside."""
    return link.is_up and (link.mac, link.bridging) == (taps.MAC, BRIDGING)
