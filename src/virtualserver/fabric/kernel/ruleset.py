"""The nftables rules of the namespace and of the host: one rule a purpose, whatever the number of guests; pure.

What differs from guest to guest and from Service to Service stands in sets and maps, whose elements are entries of
`virtualserver.fabric.desired.entries`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, Final, cast

from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.ledger import Delta, Entries, Entry
from virtualserver.fabric.desired.state import GATEWAY, Network, Ranges

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["SETS", "TABLE", "elements", "host_rules", "ipv4", "namespace_rules", "node_address", "transaction"]

TABLE: Final = "virtualserver"
"""The name of both tables in the namespace, of the families inet and arp."""

SETS: Final[Mapping[str, tuple[str, int]]] = {
    entries.GUARD_MAC: ("inet", 1),
    entries.GUARD_IP: ("inet", 1),
    entries.GUARD_DHCP: ("inet", 1),
    entries.GUARD_ARP: ("arp", 1),
    entries.SELF_PAIR: ("inet", 2),
    entries.DIRECT: ("inet", 0),
    entries.ANNOUNCED: ("inet", 0),
    entries.PUBLISHED: ("inet", 0),
}
"""Each set's family, and how many of an element's first fields are interface names, to be quoted."""

_NAMESPACE: Final = """\
table inet virtualserver {{
  # what each guest may send as: a device that is in none of these may send nothing
  set guard_mac {{ type ifname . ether_addr; }}
  set guard_ip {{ type ifname . ether_addr . ipv4_addr; }}
  set guard_dhcp {{ typeof iifname . @th,288,48; }}
  set self_pair {{ type ifname . ifname; }}
  # directly attached addresses; announced ones, which no guest has; published ports and their targets
  set direct {{ type ipv4_addr; }}
  set announced {{ type ipv4_addr; }}
  map published {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
  chain guard {{ type filter hook prerouting priority -450; }}
  chain from_guest {{ }}
  chain from_outside {{ }}
  chain cut {{ type filter hook prerouting priority -140; }}
  chain translate_target {{ type nat hook prerouting priority dstnat; }}
  chain translate_source {{ type nat hook postrouting priority srcnat; }}
  chain forward {{ type filter hook forward priority filter; policy drop; }}
  chain input {{ type filter hook input priority filter; policy drop; }}
  chain refuse {{ }}
}}
table arp virtualserver {{
  set guard_arp {{ type ifname . ether_addr . ether_addr . ipv4_addr; }}
  chain guard {{ type filter hook input priority -450; }}
}}
flush table inet virtualserver
flush table arp virtualserver
table inet virtualserver {{
  chain guard {{
    iifname "up0" goto from_outside
    iifname != "lo" goto from_guest
  }}
  chain from_outside {{
    # ClusterIPs are the guests' own affair
    ip daddr {{ {service} }} drop
  }}
  chain from_guest {{
    # before defragmentation, so that each fragment is seen by itself
    meta nfproto ipv6 drop
    iifname . ether saddr != @guard_mac drop
    udp dport 67 iifname . @th,288,48 != @guard_dhcp drop
    ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept
    udp sport 67 drop
    iifname . ether saddr . ip saddr != @guard_ip drop
  }}
  chain cut {{
    # flows whose port was taken away lost their conntrack entry: tell both ends instead of letting them wait
    tcp flags & (syn | rst) == 0x0 ct state new reject with tcp reset
  }}
  chain translate_target {{
    dnat ip to ip daddr . meta l4proto . th dport map @published
  }}
  chain translate_source {{
    # a guest that calls its own published port must not get an answer from itself
    iifname . oifname @self_pair ct status dnat masquerade
    oifname "up0" ip saddr != @direct snat ip to {node}
  }}
  chain forward {{
    ct state established,related accept
    meta nfproto != ipv4 drop
    ct state invalid drop
    iifname "up0" ct status dnat accept
    iifname "up0" ip daddr @direct accept
    iifname "up0" drop
    # link-local is never forwarded (RFC 3927): no guest reaches a cloud's metadata service in the machine's name
    ip daddr 169.254.0.0/16 drop
    accept
  }}
  chain input {{
    iifname "lo" accept
    ct state established,related accept
    ip daddr @announced goto refuse
    iifname "up0" ip daddr {node} icmp type echo-request accept
    iifname "up0" drop
    ip daddr {{ {gateway}, 255.255.255.255 }} udp dport 67 accept
    ip daddr {gateway} udp dport 53 accept
    ip daddr {gateway} tcp dport 53 accept
    ip daddr {gateway} icmp type echo-request accept
  }}
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    meta l4proto udp reject
    drop
  }}
}}
table arp virtualserver {{
  chain guard {{
    iifname != "up0" iifname . ether saddr . arp saddr ether . arp saddr ip != @guard_arp drop
  }}
}}
"""

_HOST: Final = """\
table inet {table} {{
  chain from_guests {{ type filter hook prerouting priority -150; }}
  chain input {{ type filter hook input priority -10; }}
  chain forward {{ type filter hook forward priority -10; }}
  chain translate_source {{ type nat hook postrouting priority srcnat; }}
}}
flush table inet {table}
table inet {table} {{
  chain from_guests {{
    # before any DNAT of the host's, so that no published port of the machine is a way around
    iifname "{device}" meta nfproto != ipv4 drop
    iifname "{device}" ip saddr != {{ {sources} }} drop
    iifname "{device}" fib daddr type != unicast ct state != {{ established, related }} drop
  }}
  chain input {{
    iifname "{device}" ct state != {{ established, related }} drop
  }}
  chain forward {{
    ct state established,related accept
    oifname "{device}" meta nfproto != ipv4 drop
    oifname "{device}" ip daddr != {{ {pools} }} drop
  }}
  chain translate_source {{
    ip saddr {node} oifname != "vsh-*" masquerade{masquerade}
  }}
}}
"""


def namespace_rules(ranges: Ranges) -> str:
    """Return the text for ``nft -f`` that makes the namespace's sets and rules so; elements stay as they are."""
    return _NAMESPACE.format(
        service=", ".join(map(str, ipv4(ranges.service))), gateway=GATEWAY, node=node_address(ranges)
    )


def host_rules(table: str, device: str, ranges: Ranges, uplinks: Iterable[str]) -> str:
    """Return the text for ``nft -f`` of the one table in the host.

    Args:
        table: Its name.
        device: The host's end of the veth pair.
        ranges: The installation's networks.
        uplinks: The links with a default route; there, pools that nobody beyond routes are masqueraded.
    """
    pools = ", ".join(str(pool) for pool in pool_networks(ranges))
    names = ", ".join(f'"{name}"' for name in sorted(uplinks))
    hidden = ", ".join(str(pool) for pool in pool_networks(ranges) if pool not in ranges.routed)
    extra = f"\n    ip saddr {{ {hidden} }} oifname {{ {names} }} masquerade" if hidden and names else ""
    node = node_address(ranges)
    return _HOST.format(
        table=table, device=device, sources=f"{node}, {pools}", pools=pools, node=node, masquerade=extra
    )


def pool_networks(ranges: Ranges) -> list[IPv4Network]:
    """Return the networks of all public and private pools, sorted."""
    pools = [*ranges.public.values(), *ranges.private.values()]
    return sorted({network for pool in pools for network in ipv4(pool)})


def node_address(ranges: Ranges) -> IPv4Address:
    """Return the data plane's own address on the veth pair, to which guests' sources are translated."""
    return ranges.link[2]


def ipv4(networks: Iterable[Network]) -> list[IPv4Network]:
    """Return the IPv4 networks among some."""
    return [network for network in networks if isinstance(network, IPv4Network)]


def transaction(delta: Delta) -> str:
    """Return the text for ``nft -f`` that changes the elements of a delta at once, ``""`` where it has none."""
    return _lines("delete", delta.removed) + _lines("add", delta.added)


def _lines(verb: str, changed: Entries) -> str:
    elements_of: dict[str, list[str]] = {}
    for (kind, key), value in changed.items():
        if kind in SETS:
            quoted = _quoted(key, SETS[kind][1])
            elements_of.setdefault(kind, []).append(f"{quoted} : {value}" if value else quoted)
    return "".join(
        f"{verb} element {SETS[kind][0]} {TABLE} {kind} {{ {', '.join(some)} }}\n" for kind, some in elements_of.items()
    )


def _quoted(key: str, devices: int) -> str:
    fields = key.split(" . ")
    return " . ".join(f'"{field}"' if index < devices else field for index, field in enumerate(fields))


def elements(listing: Mapping[str, Any]) -> dict[Entry, str]:
    """Return the elements that ``nft -j list ruleset`` shows in our sets and maps, as entries."""
    found: dict[Entry, str] = {}
    for item in listing["nftables"]:
        body: dict[str, Any] = item.get("set") or item.get("map") or {}
        kind = str(body.get("name", ""))
        if kind not in SETS or (body["family"], body["table"]) != (SETS[kind][0], TABLE):
            continue
        for element in body.get("elem", ()):
            key, value = element if "map" in item else (element, None)
            found[Entry(kind, _canonical(kind, key))] = "" if value is None else _canonical(kind, value)
    return found


def _canonical(kind: str, value: Any) -> str:
    fields: list[Any] = cast("dict[str, list[Any]]", value)["concat"] if isinstance(value, dict) else [value]
    words = [str(field) for field in fields]
    if kind == entries.GUARD_DHCP and isinstance(fields[1], int):
        words[1] = f"0x{fields[1]:012x}"
    return " . ".join(words)
