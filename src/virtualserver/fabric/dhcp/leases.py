"""The leases that guests took, as dnsmasq writes them down; pure."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from virtualserver.fabric.desired.state import DhcpLease

__all__ = ["LEASE_SECONDS", "parse_leases"]

LEASE_SECONDS: Final = 3600
"""For how long a guest has its address unless it asks again."""


def parse_leases(text: str) -> dict[str, DhcpLease]:
    """Return the leases of a dnsmasq lease file by MAC; pure."""
    leases: dict[str, DhcpLease] = {}
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) >= 4 and fields[0].isdecimal() and fields[1].count(":") == 5:
            mac = fields[1].lower()
            leases[mac] = DhcpLease(mac=mac, address=ip_address(fields[2]), taken=float(int(fields[0]) - LEASE_SECONDS))
    return leases
