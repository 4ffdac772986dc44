"""ARP on Ethernet for IPv4, as frames that a packet socket carries: pure, but for the socket. Source: RFC 826."""

from __future__ import annotations

import socket
import struct
from typing import Final, NamedTuple

__all__ = ["BROADCAST", "NOBODY", "REPLY", "REQUEST", "Arp", "frame_of", "octets", "opened", "read"]

BROADCAST: Final = b"\xff" * 6
NOBODY: Final = bytes(4)
"""The address of who has none yet. Source: RFC 5227."""
REQUEST, REPLY = 1, 2

_TYPE: Final = 0x0806
_ETHERNET_IPV4: Final = (1, 0x0800, 6, 4)
_LENGTH: Final = 42


class Arp(NamedTuple):
    """What a frame of ARP says.

    Attributes:
        operation: `REQUEST` or `REPLY`.
        mac: Of the sender, in octets.
        address: Of the sender, in octets; `NOBODY` for one without.
        target_mac: Zeros where it is asked for.
        target: The address that it is about.
    """

    operation: int
    mac: bytes
    address: bytes
    target_mac: bytes
    target: bytes


def frame_of(said: Arp, *, to: bytes = BROADCAST) -> bytes:
    """Return the frame that says something to a card, or to all."""
    head = struct.pack("!HHHBBH", _TYPE, *_ETHERNET_IPV4, said.operation)
    return to + said.mac + head + said.mac + said.address + said.target_mac + said.target


def read(frame: bytes) -> Arp | None:
    """Return what a frame says, None for one that is no ARP of IPv4."""
    if len(frame) < _LENGTH or struct.unpack_from("!HHHBB", frame, 12) != (_TYPE, *_ETHERNET_IPV4):
        return None
    (operation,) = struct.unpack_from("!H", frame, 20)
    return Arp(operation, frame[22:28], frame[28:32], frame[32:38], frame[38:42])


def octets(mac: str) -> bytes:
    """Return a hardware address, written with colons, in octets."""
    return bytes.fromhex(mac.replace(":", ""))


def opened(link: str, *, blocking: bool = True) -> socket.socket:
    """Return a socket that hears and says ARP on a link.

    Raises:
        OSError: There is no such link.
    """
    kind = socket.SOCK_RAW if blocking else socket.SOCK_RAW | socket.SOCK_NONBLOCK
    made = socket.socket(socket.AF_PACKET, kind, socket.htons(_TYPE))
    try:
        made.bind((link, _TYPE))
    except OSError:
        made.close()
        raise
    return made
