"""Ethernet frames written by hand, for guests that misbehave."""

from __future__ import annotations

import ipaddress
import struct

__all__ = ["arp_reply", "udp"]


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(*, source_mac: str, target_mac: str, source: str, target: str, ports: tuple[int, int], payload: bytes) -> bytes:
    """Return a frame with one UDP datagram, without a UDP checksum (RFC 768 allows that)."""
    datagram = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0,
        ipaddress.IPv4Address(source).packed, ipaddress.IPv4Address(target).packed,
    )  # fmt: skip
    header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
    return _mac(target_mac) + _mac(source_mac) + b"\x08\x00" + header + datagram


def arp_reply(*, source_mac: str, target_mac: str, claims: str, told: str) -> bytes:
    """Return a frame in which a MAC claims an address towards another."""
    body = struct.pack(
        "!HHBBH6s4s6s4s",
        1, 0x0800, 6, 4, 2,
        _mac(source_mac), ipaddress.IPv4Address(claims).packed, _mac(target_mac), ipaddress.IPv4Address(told).packed,
    )  # fmt: skip
    return _mac(target_mac) + _mac(source_mac) + b"\x08\x06" + body
