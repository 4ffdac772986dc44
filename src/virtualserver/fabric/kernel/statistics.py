"""What has gone through each tap, as the kernel counts it for every link.

Asked for by hand: pyroute2 does not read the last of the counters, which are those of what nobody took.
Source: include/uapi/linux/if_link.h, ``struct rtnl_link_stats64``.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.kernel.messages import ask, attribute, attributes, dump

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Statistics", "of_taps"]

_GET_LINK: Final = 18
_ABOUT: Final = 16
"""Bytes of ``struct ifinfomsg``."""
_NAME, _LINK_INFO, _STATS64, _KIND = 3, 18, 23, 1
_COUNTERS: Final = struct.Struct("=7Q")
_OTHER_HOST: Final = 24 * 8
"""Where the counter is that Linux 5.19 appended."""


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


def of_taps(devices: Collection[str] | None = None) -> dict[str, Statistics]:
    """Return what has gone through taps of the calling thread's namespace, by their names.

    Args:
        devices: Those that the kernel is asked for; None: all.
    """
    found: dict[str, Statistics] = {}
    for answer in dump(_GET_LINK, bytes(_ABOUT)) if devices is None else map(_link, devices):
        of_link = dict(attributes(answer[_ABOUT:]))
        kind = dict(attributes(of_link.get(_LINK_INFO, b""))).get(_KIND, b"")
        if kind.rstrip(b"\0") == b"tun" and _STATS64 in of_link:
            found[of_link[_NAME].rstrip(b"\0").decode()] = _statistics(of_link[_STATS64])
    return found


def _link(device: str) -> bytes:
    """Return what the kernel says of one link, nothing where there is none of the name."""
    name = device.encode() + b"\0"
    return ask(_GET_LINK, bytes(_ABOUT) + attribute(_NAME, name))


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
