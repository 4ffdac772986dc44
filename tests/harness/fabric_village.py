"""A village of two guests, one of which lies in frames of its own making, and the internet."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING

from harness import fabric_world as world
from virtualserver.fabric.desired.state import FloatingAddress, ServiceRules

if TYPE_CHECKING:
    from collections.abc import Generator

    from virtualserver.fabric.dataplane import DataPlane

MAC, OTHER_MAC = "52:54:00:00:00:02", "52:54:00:00:00:03"
OWN, OTHER = "10.42.0.2", "10.42.0.3"
FLOATING = "203.0.113.9"
"""What floats to the liar, or its card has, where a test wants such a card."""
NUMBERS = itertools.count(100)
"""For datagrams in fragments, which no two of one sender may have the same."""
EVERYBODY = "ff:ff:ff:ff:ff:ff"
MARK = b"a frame of the test's own making"


def octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(payload: bytes, *, source: str = MAC, target: str, kind: int = 0x0800) -> bytes:
    return octets(target) + octets(source) + struct.pack(">H", kind) + payload


def ipv4(
    payload: bytes,
    *,
    source: str,
    target: str,
    protocol: int = 17,
    number: int = 7,
    fragment: int = 0,
    options: bytes = b"",
) -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, 4 * words + len(payload), number, fragment, 64, protocol, 0)
    head += socket.inet_aton(source) + socket.inet_aton(target) + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def in_fragments(payload: bytes, *ends: int, source: str, target: str) -> list[bytes]:
    """Return the fragments of a datagram that end where it is said, and one with what is left."""
    begins, number = (0, *ends), next(NUMBERS)
    return [
        ipv4(
            payload[begin:end],
            source=source,
            target=target,
            number=number,
            fragment=(0x2000 if end < len(payload) else 0) | begin // 8,
        )
        for begin, end in zip(begins, (*ends, len(payload)), strict=True)
    ]


def udp(payload: bytes = MARK, *, source: int = 5000, target: int = 5001) -> bytes:
    return struct.pack(">4H", source, target, 8 + len(payload), 0) + payload


def dhcp(kind: int, *, mac: str = MAC, operation: int = 1, ciaddr: str = "0.0.0.0") -> bytes:
    body = struct.pack(">BBBBIHH", operation, 1, 6, 0, 0x1234, 0, 0) + socket.inet_aton(ciaddr) + bytes(12)
    body += octets(mac).ljust(16, b"\0") + bytes(192) + bytes.fromhex("63825363") + bytes([53, 1, kind])
    return body + bytes([54, 4, 169, 254, 1, 1]) + b"\xff"


def arp(*, sender_mac: str = MAC, sender: str = OWN, target: str = "169.254.1.1", operation: int = 1) -> bytes:
    head = struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation)
    return head + octets(sender_mac) + socket.inet_aton(sender) + bytes(6) + socket.inet_aton(target)


def ipv6(payload: bytes, *, source: str, target: str, following: int) -> bytes:
    head = struct.pack(">IHBB", 6 << 28, len(payload), following, 255)
    return head + socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target) + payload


class Village:
    """Two guests, the second of which is the victim, and the internet; all that arrives anywhere is heard."""

    def __init__(
        self, plane: DataPlane, liar: world.Guest, victim: world.Guest, internet: world.Node, *, own: str = OWN
    ) -> None:
        self.plane, self.liar, self.victim, self.internet, self.own = plane, liar, victim, internet, own
        text = world.sh("nsenter", "--net=/run/netns/vs-t1", "ip", "-o", "link", "show", "tap-2")
        self.gateway_mac = text.split("link/ether ")[1].split()[0]

    @contextlib.contextmanager
    def ears(self) -> Generator[list[socket.socket], None, None]:
        listening = [node.socket(socket.SOCK_RAW, socket.AF_PACKET, 0x0300) for node in (self.victim, self.internet)]
        try:
            yield listening
        finally:
            for each in listening:
                each.close()

    def arrives(self, frame: bytes, mark: bytes = MARK) -> bool:
        """Send a frame of the liar's, then one that is allowed, and return whether the first came through."""
        after = b"the frame that follows it and may pass"
        with self.ears() as (victim, internet):
            self.liar.send(frame)
            for target in (OTHER, world.CLIENT_ADDRESS):
                own = ipv4(udp(after), source=self.own, target=target)
                self.liar.send(ethernet(own, target=self.gateway_mac))
            heard = [self.heard_until(ear, after) for ear in (victim, internet)]
        return any(mark in packet for packets in heard for packet in packets)

    @staticmethod
    def heard_until(ear: socket.socket, last: bytes) -> list[bytes]:
        packets: list[bytes] = []
        while not packets or last not in packets[-1]:
            packets.append(ear.recv(3000))
        return packets


async def a_village(
    plane: DataPlane, make_guest: world.MakeGuest, internet: world.Node, card: str = "translated"
) -> Village:
    """Make the two guests, the first with a card of a kind.

    Args:
        plane: Where they are linked.
        make_guest: Makes a guest.
        internet: Who is beyond.
        card: ``translated``; ``floating``: `FLOATING` floats to it; ``attached``: it has `FLOATING` as its own.
    """
    own = FLOATING if card == "attached" else OWN
    liar, victim = await make_guest(plane, 2, FLOATING if card == "attached" else None), await make_guest(plane, 3)
    if card == "floating":
        floats = FloatingAddress(ip_address(FLOATING), ip_address(OWN), None, is_source=True)
        await plane.set_service("address", ServiceRules(floating=frozenset({floats})))
    # the kernel's own check of sources is a second door behind the one that is tested
    world.sh("nsenter", "--net=/run/netns/vs-t1", "sysctl", "-qw", "net.ipv4.conf.tap-2.rp_filter=0")
    assert liar.pings(OTHER)
    assert liar.pings(world.CLIENT_ADDRESS)
    return Village(plane, liar, victim, internet, own=own)
