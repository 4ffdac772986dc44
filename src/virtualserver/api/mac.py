"""MAC addresses that nobody chose: each follows from a text, so it stays when its machine is made again."""

from __future__ import annotations

import hashlib

__all__ = ["derive"]


def derive(text: str) -> str:
    """Return the MAC address of a text, in lower case with colons: local, unicast, always the same.

    Args:
        text: What the address belongs to. A VirtualServer's is ``NAMESPACE/NAME``: names repeat between namespaces.

    Source: the seed, "Custom MAC addresses": persistent, derived from the Virtual Server's name.
    """
    octets = bytearray(hashlib.sha256(text.encode()).digest()[:6])
    octets[0] = octets[0] & 0b1111_1100 | 0b0000_0010
    return octets.hex(":")
