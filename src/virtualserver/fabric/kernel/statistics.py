"""What has gone through each tap, as the kernel counts it for every link.

Asked for by hand: pyroute2 does not read the last of the counters, which are those of what nobody took.
Source: include/uapi/linux/if_link.h, ``struct rtnl_link_stats64``.
"""

from __future__ import annotations

import dataclasses
import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Statistics", "of_taps"]

_GET_LINK: Final = 18
_DONE: Final = 3
_REQUEST_DUMP: Final = 0x301
_HEADER: Final = struct.Struct("=IHHII")
_ABOUT: Final = 16
"""Bytes of ``struct ifinfomsg``."""
_ATTRIBUTE: Final = struct.Struct("=HH")
_NAME, _LINK_INFO, _STATS64, _KIND = 3, 18, 23, 1
_COUNTERS: Final = struct.Struct("=7Q")
_OTHER_HOST: Final = 24 * 8
"""Where the counter is that Linux 5.19 appended."""
_BUFFER: Final = 1 << 18


@dataclasses.dataclass(frozen=True, slots=True)
class Statistics:
    """What has gone through a link since it was made.

    Attributes:
        received_bytes: That came in by it.
        received_packets: That came in by it.
        sent_bytes: That left by it.
        sent_packets: That left by it.
        dropped: Packets that came in, and that no protocol of the kernel took.
        other_host: Packets that came in, and were for another card, or in a VLAN that there is not.
    """

    received_bytes: int
    received_packets: int
    sent_bytes: int
    sent_packets: int
    dropped: int
    other_host: int


def of_taps() -> dict[str, Statistics]:
    """Return what has gone through each tap of the calling thread's namespace, by its name."""
    found: dict[str, Statistics] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.bind((0, 0))
        kernel.send(_HEADER.pack(_HEADER.size + _ABOUT, _GET_LINK, _REQUEST_DUMP, 1, 0) + bytes(_ABOUT))
        for message in _answers(kernel):
            attributes = dict(_attributes(message[_ABOUT:]))
            kind = dict(_attributes(attributes.get(_LINK_INFO, b""))).get(_KIND, b"")
            if kind.rstrip(b"\0") == b"tun" and _STATS64 in attributes:
                found[attributes[_NAME].rstrip(b"\0").decode()] = _statistics(attributes[_STATS64])
    return found


def _answers(kernel: socket.socket) -> Iterator[bytes]:
    """Yield the bodies of all messages of a dump."""
    while True:
        data = kernel.recv(_BUFFER)
        while len(data) >= _HEADER.size:
            length, kind, *_ = _HEADER.unpack_from(data)
            if kind <= _DONE:  # the end, or an error
                return
            yield data[_HEADER.size : length]
            data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def _statistics(counters: bytes) -> Statistics:
    received_packets, sent_packets, received_bytes, sent_bytes, _, _, dropped = _COUNTERS.unpack_from(counters)
    other_host = counters[_OTHER_HOST : _OTHER_HOST + 8]
    return Statistics(
        received_bytes=received_bytes,
        received_packets=received_packets,
        sent_bytes=sent_bytes,
        sent_packets=sent_packets,
        dropped=dropped,
        other_host=int.from_bytes(other_host, "little"),  # 0 where the kernel is older
    )
