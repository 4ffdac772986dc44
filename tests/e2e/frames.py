"""Ethernet frames written by hand, for guests that misbehave."""

from __future__ import annotations

import ipaddress
import struct

__all__ = ["BROADCAST", "arp", "router_advertisement", "udp"]

BROADCAST = "ff:ff:ff:ff:ff:ff"


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
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


def arp(
    *, frame_mac: str, sender_mac: str, sender: str, asked: str, answers: bool = False, target_mac: str = BROADCAST
) -> bytes:
    """Return a frame in which somebody asks who has an address, or, with `answers`, claims the sender's towards it."""
    body = struct.pack(
        "!HHBBH6s4s6s4s",
        1, 0x0800, 6, 4, 2 if answers else 1,
        _mac(sender_mac), ipaddress.IPv4Address(sender).packed,
        _mac(target_mac) if answers else bytes(6), ipaddress.IPv4Address(asked).packed,
    )  # fmt: skip
    return _mac(target_mac) + _mac(frame_mac) + b"\x08\x06" + body


def router_advertisement(*, source_mac: str, target_mac: str, mark: bytes) -> bytes:
    """Return a frame that offers its sender as IPv6 router to all (RFC 4861, 4.2); the mark is an unknown option."""
    source, target = ipaddress.IPv6Address("fe80::99").packed, ipaddress.IPv6Address("ff02::1").packed
    mark += b"\0" * (-(len(mark) + 2) % 8)
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + bytes([200, (len(mark) + 2) // 8]) + mark
    total = _checksum(source + target + struct.pack("!I3xB", len(body), 58) + body)
    body = body[:2] + struct.pack("!H", total) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source + target
    return _mac(target_mac) + _mac(source_mac) + b"\x86\xdd" + header + body
