"""What dnsmasq is told: its configuration file, and whom it asks about names; pure.

Guests are told apart by the tap on which they ask: dnsmasq takes the interface's name as a tag, so no host needs a
``set:`` tag (with one, dnsmasq 2.90 crashes at SIGHUP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.options import content
from virtualserver.fabric.desired.repair import Adjustment
from virtualserver.fabric.desired.state import GATEWAY_PORTS, GATEWAYS
from virtualserver.fabric.dhcp.leases import LEASE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from virtualserver.fabric.desired.state import Network
    from virtualserver.host.resolv_conf import ResolvConf

__all__ = ["configuration", "resolver_adjustments", "upstream"]

_VERSION: Final = 4
"""The IP version of DHCP; that of IPv6 is to stand beside it."""
_QUESTIONS: Final = 10_000
"""How many names may be asked of others at once. The guard lets a guest ask 100 a second, and one that nobody answers
is waited for 10 seconds; a tenant's guests together 400 a second: two tenants that do their worst leave room."""
_STREAMS: Final = 100
"""How many TCP connections are served at once, each by a process of its own; the guard lets a tenant have 20."""


def configuration(run: Path, networks: Iterable[Network], mtu: int) -> str:
    """Return dnsmasq's configuration file; pure.

    Args:
        run: The folder of its files.
        networks: Where guests' addresses come from.
        mtu: What guests may send at most, in bytes.
    """
    (gateway,) = (address for address in GATEWAYS if address.version == _VERSION)
    hexadecimal = gateway.packed.hex(":")
    lines = [
        "bind-dynamic",
        "except-interface=lo",
        "except-interface=up0",
        "no-hosts",
        f"resolv-file={run}/resolv.conf",
        "local=/cluster.local/",
        "bogus-priv",
        "cache-size=1000",
        "clear-on-reload",  # other name servers may know other answers
        f"dns-forward-max={_QUESTIONS}",
        f"max-tcp-connections={_STREAMS}",
        f"min-port={GATEWAY_PORTS}",
        f"hostsdir={run}/{entries.NAMES}",
        "pid-file=",  # none: it is found by this file
        f"log-facility={run}/dnsmasq.log",
        "quiet-dhcp",
        "no-ping",
        "dhcp-authoritative",
        "dhcp-ignore-names",  # a guest does not choose names in the cluster's DNS
        "dhcp-ignore-clid",  # nor somebody else's lease by a client identifier
        "dhcp-lease-max=100000",
        f"dhcp-leasefile={run}/leases",
        f"dhcp-hostsdir={run}/{entries.DHCP_HOST}",
        f"dhcp-optsdir={run}/{entries.DHCP_OPTIONS}",
        "dhcp-option=option:netmask,255.255.255.255",
        f"dhcp-option=option:router,{gateway}",
        f"dhcp-option=option:classless-static-route,{gateway}/32,0.0.0.0,0.0.0.0/0,{gateway}",
        f"dhcp-option=249,20:{hexadecimal}:00:00:00:00:00:{hexadecimal}",  # the same for Windows
        f"dhcp-option=option:mtu,{mtu}",
        "dhcp-option=28",  # no broadcast address
        "dhcp-option=option:dns-server",  # none, but for guests whose own options say so
    ]
    for network in networks:
        if network.version != _VERSION:
            continue
        lines.append(f"shared-network={gateway},{network.network_address}")
        lines.append(f"dhcp-range={network.network_address},static,{network.netmask},{LEASE_SECONDS}s")
    return content(lines)


def resolver_adjustments(before: Sequence[str] | None, now: Sequence[str] | None) -> list[Adjustment]:
    """Return what is told of other name servers, ``None`` where they are not known; pure."""
    if before is None or now is None or before == now:
        return []
    names, were = (", ".join(servers) or "none that guests reach" for servers in (now, before))
    words = "guests' names are asked there, and guests that ask them themselves are told at their next DHCP lease"
    return [Adjustment(f"the host's name servers are {names} now, before {were}: {words}")]


def upstream(host: ResolvConf) -> str:
    """Return the resolver file that dnsmasq asks: the host's name servers that the namespace reaches, by IPv4; pure."""
    return content(f"nameserver {server}" for server in host.reachable if server.version == 4)
