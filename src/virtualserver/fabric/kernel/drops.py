"""What the guard drops of each guest's, counted by reason where it is dropped: what passes meets no rule more.

A packet that is to be dropped goes to its reason's chain, where a set counts it by the link's index, which no later
link has again, and the reason. What never comes to the rules, the kernel counts for each link by itself.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.kernel import statistics

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from virtualserver.fabric.kernel.netfilter import Netfilter

__all__ = ["ARP", "REASONS", "Traffic", "chain_rules", "chains", "read"]

REASONS: Final = {
    "mac": 1,
    "address": 2,
    "ipv6": 3,
    "fragments": 4,
    "dhcp_server": 5,
    "dhcp": 6,
    "dhcp_rate": 7,
    "dns_rate": 8,
    "icmp": 9,
    "flows": 10,
    "host": 11,
    "namespace": 12,
}
"""Why the rules of family inet drop, and the number by which the kernel knows it; on a VPC, for the first alone."""

ARP: Final = 13
"""The same of family arp: what is said in ARP of an address, or by a card, that is not the guest's."""

_SET: Final = "dropped"
_NAMES: Final = {**{number: reason for reason, number in REASONS.items()}, ARP: "arp"}
_DISCARDED: Final = "Ip6InDiscards"


@dataclasses.dataclass(frozen=True, slots=True)
class Traffic:
    """What a guest has sent and got by one link since the link was made.

    Attributes:
        sent_bytes: By the guest.
        sent_packets: By the guest.
        received_bytes: By the guest.
        received_packets: By the guest.
        dropped: How many packets of the guest's, by reason; in a day without one of a reason its count begins anew.
    """

    sent_bytes: int
    sent_packets: int
    received_bytes: int
    received_packets: int
    dropped: dict[str, int]


def chains() -> str:
    """Return the declarations of the chains, for nft."""
    return "\n".join(f"  chain drop_{reason} {{ }}" for reason in REASONS)


def chain_rules() -> str:
    """Return the chains with their rules, for nft.

    The drop is a rule of its own: where the count cannot be made, the packet is dropped all the same.
    """
    return "\n".join(
        f"  chain drop_{reason} {{\n"
        f"    meta mark set {number:#x} update @{_SET} {{ iif . meta mark counter }}\n"
        "    drop\n"
        "  }"
        for reason, number in REASONS.items()
    )


def read(netfilter: Netfilter, table: str, devices: Collection[str] | None = None) -> dict[str, Traffic]:
    """Return what each tap's guest has sent and got, by the tap's name; called inside the namespace.

    Args:
        netfilter: Of the namespace.
        table: The name of the rules' tables.
        devices: The taps; None: all.
    """
    counted: dict[str, dict[str, int]] = {}
    for family in ("inet", "arp", "bridge"):
        for (device, number), packets in netfilter.counts(family, table, _SET).items():
            counted.setdefault(device, {})[_NAMES.get(number, str(number))] = packets
    found: dict[str, Traffic] = {}
    for device, said in statistics.of_taps(devices).items():
        # Frames that are not for the gateway's card, VLAN tags among them; protocols that nobody here speaks.
        by_kernel = {"frame": said.other_host, "protocol": said.dropped, "ipv6": _discarded(device)}
        dropped = counted.get(device, {})
        for reason, packets in by_kernel.items():
            dropped[reason] = dropped.get(reason, 0) + packets
        found[device] = Traffic(
            sent_bytes=said.received_bytes,
            sent_packets=said.received_packets,
            received_bytes=said.sent_bytes,
            received_packets=said.sent_packets,
            dropped={reason: packets for reason, packets in sorted(dropped.items()) if packets},
        )
    return found


def _discarded(device: str) -> int:
    """Return how many IPv6 packets the kernel has thrown away because it speaks none on a link."""
    return sum(int(words[1]) for words in _lines(device) if words[0] == _DISCARDED)


def _lines(device: str) -> Iterator[list[str]]:
    try:
        # Of the thread that asks: it is in the namespace, and the process need not be.
        text = Path("/proc/thread-self/net/dev_snmp6", device).read_text()
    except OSError:
        return
    for line in text.splitlines():
        yield line.split()
