"""The nftables rules of the namespace: one rule a purpose, whatever the number of guests; pure.

What differs from guest to guest and from Service to Service stands in sets and maps, whose elements are entries of
`virtualserver.fabric.desired.entries`; `virtualserver.fabric.kernel.elements` puts them there.
"""

from __future__ import annotations

from ipaddress import IPv4Network, collapse_addresses
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired.state import GATEWAY_PORTS, GATEWAYS, Network, Ranges
from virtualserver.fabric.kernel import drops

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BOUNDED", "ETHERNET", "LEAST_PORT", "MARK", "TABLE", "TABLES", "VERSION", "listed", "namespace_rules"]

TABLE: Final = "virtualserver"
"""The name of the tables in the namespace, of the families inet, arp and bridge."""

TABLES: Final = (("inet", TABLE), ("arp", TABLE), ("bridge", TABLE))
"""The namespace's tables by family and name."""

MARK: Final = 0x5653
"""What the guard lets pass bears this mark, and without it nothing is routed in the namespace."""

VERSION: Final = 4
"""The IP version of these rules; those of another are to stand beside them."""

_LINK_LOCAL: Final = IPv4Network("169.254.0.0/16")

_DECLINE: Final = 0x350104
"""DHCP's option 53 with the value 4, where clients have it: before any other option."""
_BOUNDS: Final = {
    "parts": 64,
    "flows": 256,
    "new_flows": 2_000,
    "new_flows_at_once": 8_000,
    "fragments": 5_000,
    "queries": 100,
    "queries_at_once": 300,
    "streams": 3,
    "requests": 5,
    "requests_at_once": 20,
    "tenant_parts": 256,
    "tenant_flows": 256,
    "flows_to_one": 64,
    "of_tenant": 400,
    "of_tenant_at_once": 1_200,
    "tenant_streams": 20,
}
"""Of each NIC: how many flows it may have open in each of so many parts, into which they fall by chance (the first is
full at about 14,000 in all, the last at 16,384); how many it may open in a second; what else it may send in one. With
what `settings` says of timeouts, one guest fills a seventh of a table of 262,144. Of TCP connections to dnsmasq, which
serves 100 for all guests, it may have 3.

All guests of a tenant together: in how many parts their flows fall, and how many there may be in each, which is a
quarter of the table; how many of them to one address outside, which is a third of the 48,128 ports that all guests
leave from; and how much they may ask dnsmasq."""

ETHERNET: Final = 1500
"""The MTU of an Ethernet link, and the greatest of a guest's."""

_FIT: Final = """\
    # a guest that runs does not hear that the way to the outside takes less now: its connections fit all the same
    tcp flags & (syn | rst) == syn tcp option maxseg size > {segment} tcp option maxseg size set {segment}
"""
_HEADERS: Final = 40
"""Bytes of the headers of IP and TCP without options, which are not of a segment. Source: RFC 9293, 3.7.1."""

LEAST_PORT: Final = 1024
"""The least port from which anybody leaves under an address that many share. A sender below 512 would be given one of
511, the privileged ones, and one guest can hold all of them. Source: nf_nat_core.c."""

_FORMER: Final = ("datagram", "bound", "cut", "fit")
"""Chains on hooks that the rules of former versions had: they go with the transaction that loads these."""

BOUNDED: Final = ("bounded", "bounded_to")
"""The sets of those who met the bound of flows within the last minute: of taps, and of addresses."""

_NAMESPACE: Final = """\
table inet virtualserver {{
  # what each guest may send as: a device that is in none of these may send nothing
  set guard_mac {{ type ifname . ether_addr; }}
  set guard_ip {{ type ifname . ether_addr . ipv4_addr; }}
  set guard_dhcp {{ typeof iifname . @th,288,48; }}
  set guard_own {{ typeof iifname . @th,192,32; }}
  set self_pair {{ type ifname . ifname; }}
  # the group that a guest is of, and the group that may call a guest's own address
  map groups {{ type ifname : mark; }}
  set members {{ type ipv4_addr . mark; }}
  # whose guest it is
  map tenants {{ type ifname : mark; }}
  # directly attached addresses; announced ones, which no guest has; published ports and their targets, and those of
  # them that take no new connections: no rule asks for these, and while they stand here, flows are not cut
  set direct {{ type ipv4_addr; }}
  set announced {{ type ipv4_addr; }}
  map published {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
  map withheld {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
  # the same for some clients only; attached addresses that some may call only, and who
  map published_to {{
    type ipv4_addr . inet_proto . inet_service . ipv4_addr : ipv4_addr . inet_service; flags interval;
  }}
  map withheld_to {{
    type ipv4_addr . inet_proto . inet_service . ipv4_addr : ipv4_addr . inet_service; flags interval;
  }}
  # ports whose new connections are spread over several targets, each by a chain of its own; the same for some clients
  # only; and with which target a client stays, by that one's address, where its Service says so: the chains fill it
  map spread {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map spread_to {{ type ipv4_addr . inet_proto . inet_service . ipv4_addr : verdict; flags interval; }}
  map affinity {{
    type ipv4_addr . inet_proto . inet_service . ipv4_addr : mark; size 65535; flags dynamic,timeout;
  }}
  # floating addresses and the guests that have all of their traffic; the same for some clients only; with which of them
  # what a guest sends leaves; and ports of theirs that are published, or withheld, and float for nobody
  map floating {{ type ipv4_addr : ipv4_addr; }}
  map floating_to {{ type ipv4_addr . ipv4_addr : ipv4_addr; flags interval; }}
  map floating_source {{ type ipv4_addr : ipv4_addr; }}
  set decided {{ type ipv4_addr . inet_proto . inet_service; }}
  set restricted {{ type ipv4_addr; }}
  set admitted {{ type ipv4_addr . ipv4_addr; flags interval; }}
  # what each NIC makes of the kernel's tables and of dnsmasq's time; the rules fill these
  set fragments {{ type ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
  set dhcp_requests {{ type ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
  set dns_queries {{ type ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
  set dns_streams {{ type ifname; size 65535; flags dynamic; }}
  set tenant_queries {{ type mark; size 65535; flags dynamic,timeout; timeout 1m; }}
  set tenant_streams {{ type mark; size 65535; flags dynamic; }}
  set new_flows {{ type ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
  set flows {{ type ifname . mark; size 1000000; flags dynamic; }}
  set tenant_flows {{ type mark . mark; size 1000000; flags dynamic; }}
  set destinations {{ type mark . ipv4_addr . mark; size 1000000; flags dynamic; }}
  set clients {{ type ipv4_addr . mark; size 1000000; flags dynamic; }}
  # which of them met a bound within the last minute, by the tap or by the guest's address
  set bounded {{ type ifname; size 65535; flags dynamic,timeout; counter; timeout 1m; }}
  set bounded_to {{ type ipv4_addr; size 65535; flags dynamic,timeout; counter; timeout 1m; }}
  # what was dropped of each NIC's, by its link and the reason; see `drops`
  set dropped {{ type iface_index . mark; size 65535; flags dynamic,timeout; counter; timeout 1d; }}
{drop_chains}
  chain guard {{ type filter hook prerouting priority -450; }}
  chain from_outside {{ }}
  chain from_guest {{ }}
  chain new_guest {{ }}
  chain fragment {{ }}
  chain to_dhcp {{ }}
  chain own_request {{ }}
  chain dhcp_request {{ }}
  chain to_dns {{ }}
  chain dns_query {{ }}
  chain query_of_tenant {{ }}
  chain asked {{ }}
  chain answers {{ type filter hook output priority raw; }}
  chain new_of_guest {{ }}
  chain flow_of_guest {{ }}
  chain flow_of_tenant {{ }}
  chain dns_stream {{ }}
  chain stream_of_tenant {{ }}
  chain lost {{ }}
  chain lost_by_attached {{ }}
  chain lost_by_client {{ }}
  chain translate_target {{ type nat hook prerouting priority dstnat; }}
  chain translate_source {{ type nat hook postrouting priority srcnat; }}
  chain to_outside {{ }}
  chain shared_address {{ }}
  chain from_node {{ }}
  chain forward {{ type filter hook forward priority filter; policy drop; }}
  chain whole {{ }}
  chain udp_from_guest {{ }}
  chain dhcp_to_others {{ }}
  chain icmp_from_guest {{ }}
  chain new_flow {{ }}
  chain called_from_outside {{ }}
  chain between {{ }}
  chain to_restricted {{ }}
  chain admitted_flow {{ }}
  chain input {{ type filter hook input priority filter; policy drop; }}
  chain refuse {{ }}
}}
table arp virtualserver {{
  set guard_arp {{ type ifname . ether_addr . ether_addr . ipv4_addr; }}
  set dropped {{ type iface_index . mark; size 65535; flags dynamic,timeout; counter; timeout 1d; }}
  chain guard {{ type filter hook input priority -450; }}
}}
table bridge virtualserver {{
  set guard_frame {{ type ifname . ether_addr; }}
  set dropped {{ type iface_index . mark; size 65535; flags dynamic,timeout; counter; timeout 1d; }}
  chain guard {{ type filter hook prerouting priority -300; }}
  chain to_us {{ type filter hook input priority -300; policy drop; }}
  chain from_us {{ type filter hook output priority -300; policy drop; }}
}}
flush table inet virtualserver
{former}
flush table arp virtualserver
flush table bridge virtualserver
table inet virtualserver {{
{drop_rules}
  # A rule whose load fails, as of what a fragment or a short datagram does not have, does not match. So each decision
  # is made by what matches, and what matches nothing is dropped. What passes bears a mark, without which nothing is
  # routed: where these rules are gone, so is the way. Before defragmentation, so that each fragment is seen by itself,
  # and nobody adds one to another's datagram.
  # Each packet passes this chain and `forward`, only the first one of a flow passes those that translate: what is asked
  # here costs every one of them.
  chain guard {{
    iifname "up0" goto from_outside
    iifname . ether saddr . ip saddr @guard_ip meta mark set {mark} goto from_guest
    iifname "lo" accept
    # who asks for an address has none yet, and needs no fragments; it goes no further than to the gateway
    ip saddr 0.0.0.0 ip daddr 255.255.255.255 ip frag-off & 0x3fff == 0x0 udp dport 67 goto new_guest
    meta nfproto ipv6 goto drop_ipv6
    iifname . ether saddr @guard_mac goto drop_address
    goto drop_mac
  }}
  chain from_outside {{
    # ClusterIPs are the guests' own affair
    ip daddr != {service} meta mark set {mark} accept
    drop
  }}
  chain new_guest {{
    iifname . ether saddr @guard_mac goto to_dhcp
    goto drop_mac
  }}
  chain from_guest {{
    # a whole TCP segment, most of what guests send, by the fragment's field and the protocol
    @nh,48,32 & 0x3fff00ff == 0x6 accept
    ip frag-off & 0x3fff != 0x0 goto fragment
    udp dport 67 goto to_dhcp
    ip daddr {gateway} udp dport 53 goto to_dns
    accept
  }}
  chain fragment {{
    # the memory of those that wait for others is one for all guests
    update @fragments {{ iifname limit rate {fragments}/second burst {fragments} packets }} accept
    goto drop_fragments
  }}
  chain to_dhcp {{
    # what is for somebody else is judged, whole, where it is forwarded or taken in
    ip daddr != {{ {gateway}, 255.255.255.255 }} accept
    # a request of an Ethernet card of 6 octets that no relay passed on
    udp sport != 67 @th,64,24 0x010106 @th,256,32 0x0 goto own_request
    goto drop_dhcp
  }}
  chain own_request {{
    # for the guest's own address or none yet, and by its own card
    iifname . @th,160,32 @guard_own iifname . @th,288,48 @guard_dhcp goto dhcp_request
    goto drop_dhcp
  }}
  # What the gateway itself answers is not tracked, so that it answers while the kernel's table of flows is full; and it
  # answers nothing else: what came in parts is tracked, since nobody has judged it here.
  chain dhcp_request {{
    # A guest that declines its address would have none for ten minutes, though nobody else has it.
    @th,1984,24 {decline} goto drop_dhcp
    update @dhcp_requests {{ iifname limit rate {requests}/second burst {requests_at_once} packets }} notrack accept
    goto drop_dhcp_rate
  }}
  chain to_dns {{
    udp sport != 67 udp length >= 8 goto dns_query
    goto drop_dhcp_server
  }}
  chain dns_query {{
    update @dns_queries {{ iifname limit rate {queries}/second burst {queries_at_once} packets }} goto query_of_tenant
    goto drop_dns_rate
  }}
  chain query_of_tenant {{
    meta mark set iifname map @tenants
    update @tenant_queries {{ meta mark limit rate {of_tenant}/second burst {of_tenant_at_once} packets }} goto asked
    goto drop_dns_rate
  }}
  chain asked {{
    meta mark set {mark} notrack accept
  }}
  chain answers {{
    ip saddr {gateway} udp sport {{ 53, 67 }} notrack
  }}
  # What a guest opens counts once, with its first packet.
  chain new_of_guest {{
    iifname "lo" return
    ip daddr {gateway} tcp dport 53 goto dns_stream
    update @new_flows {{ iifname limit rate {new_flows}/second burst {new_flows_at_once} packets }} goto flow_of_guest
    update @bounded {{ iifname counter }}
    goto drop_flows
  }}
  chain flow_of_guest {{
    # the kernel walks through what it counts, so a NIC's flows are counted in parts that stay short
    ct mark set jhash ip daddr . th sport . th dport mod {parts} seed {mark}
    add @flows {{ iifname . ct mark ct count {flows} }} goto flow_of_tenant
    update @bounded {{ iifname counter }}
    goto drop_flows
  }}
  chain flow_of_tenant {{
    meta mark set iifname map @tenants
    ct mark set jhash ip saddr . ip daddr . th sport . th dport mod {tenant_parts} seed {mark}
    add @tenant_flows {{ meta mark . ct mark ct count {tenant_flows} }} meta mark set {mark} return
    update @bounded {{ iifname counter }}
    goto drop_flows
  }}
  chain dns_stream {{
    add @dns_streams {{ iifname ct count {streams} }} goto stream_of_tenant
    goto drop_dns_rate
  }}
  chain stream_of_tenant {{
    ct mark set iifname map @tenants
    add @tenant_streams {{ ct mark ct count {tenant_streams} }} return
    goto drop_dns_rate
  }}
  # A flow lost its conntrack entry. Where nothing is translated and it might begin anew, it goes on. Where its port was
  # taken away, or is not for this client any more, both ends are told instead of being left to wait.
  chain lost {{
    ip saddr @restricted goto lost_by_attached
    ip daddr @restricted goto lost_by_client
    ip saddr @direct return
    ip daddr @direct return
    ip daddr {{ {guests} }} return
    reject with tcp reset
  }}
  chain lost_by_attached {{
    ip saddr . ip daddr @admitted return
    reject with tcp reset
  }}
  chain lost_by_client {{
    ip daddr . ip saddr @admitted return
    reject with tcp reset
  }}
  # The first packet of a flow comes here, and no other.
  chain translate_target {{
    tcp flags & (syn | rst) == 0x0 jump lost
    iifname != "up0" jump new_of_guest
    # no port is open to everybody and to some, and no address floats for both
    dnat ip to ip daddr . meta l4proto . th dport map @published
    meta l4proto {{ tcp, udp }} dnat ip to ip daddr . meta l4proto . th dport . ip saddr map @published_to
    ip daddr . meta l4proto . th dport vmap @spread
    meta l4proto {{ tcp, udp }} ip daddr . meta l4proto . th dport . ip saddr vmap @spread_to
    ip daddr . meta l4proto . th dport @decided accept
    # what is left of an address that floats goes to its guest, whatever the protocol
    dnat ip to ip daddr map @floating
    dnat ip to ip daddr . ip saddr map @floating_to
  }}
  chain translate_source {{
    oifname "up0" goto to_outside
    # a guest that calls its own published port must not get an answer from itself
    iifname . oifname @self_pair ct status dnat masquerade
  }}
  chain to_outside {{
    snat ip to ip saddr map @floating_source
    # the gateway's own questions keep the ports that guests leave free
    ip saddr {node} accept
    ip saddr != @direct goto shared_address
  }}
  chain shared_address {{
    # to one address there is one flow from each port, for all guests: no tenant has more than a third of them
    meta mark set iifname map @tenants
    add @destinations {{ meta mark . ip daddr . ct mark ct count {flows_to_one} }} goto from_node
    update @bounded {{ iifname counter }}
    goto drop_flows
  }}
  chain from_node {{
    # from no low port, also where a guest sends from one: there are 511 of those for all guests
    meta l4proto {{ tcp, udp }} snat ip to {node}:{ports}
    snat ip to {node}
  }}
  chain forward {{
    meta l4proto != tcp iifname != "up0" jump whole
{fit}    ct state established,related accept
    ct state new meta nfproto ipv4 goto new_flow
  }}
  # What a guest's datagram says, however many parts it came in.
  chain whole {{
    meta l4proto udp goto udp_from_guest
    meta l4proto icmp goto icmp_from_guest
  }}
  chain udp_from_guest {{
    # a guest is no DHCP server; but it answers who called it, which nobody does who wants an address
    ct direction reply udp length >= 8 return
    udp dport 67 goto dhcp_to_others
    udp sport != 67 udp length >= 8 return
    goto drop_dhcp_server
  }}
  chain dhcp_to_others {{
    # a guest asks none but the gateway; what somebody publishes, or attaches, is a service like any other
    udp sport != 67 udp length >= 8 ct status dnat return
    udp sport != 67 udp length >= 8 ip daddr @direct return
    goto drop_dhcp
  }}
  chain icmp_from_guest {{
    icmp type {{ echo-request, echo-reply, timestamp-request, timestamp-reply }} return
    # an error speaks of a datagram that came to this guest, so it quotes one; another's flow is none of its business
    icmp type {{ destination-unreachable, time-exceeded, parameter-problem }} iifname . @th,192,32 @guard_own return
    goto drop_icmp
  }}
  chain new_flow {{
    iifname "up0" goto called_from_outside
    # what is translated was called by another address, whose clients are known already
    ip daddr @restricted ct status & dnat == 0 goto to_restricted
    ip daddr {{ {guests} }} ct status & dnat == 0 goto between
    # link-local is never forwarded (RFC 3927): no guest reaches a cloud's metadata service in the machine's name. Nor
    # does a guest reach the machine itself; its own table says so too, but somebody may flush that one.
    ip daddr != {{ {closed} }} accept
    goto drop_host
  }}
  chain called_from_outside {{
    ct status dnat goto admitted_flow
    ip daddr @restricted goto to_restricted
    ip daddr @direct goto admitted_flow
    drop
  }}
  chain between {{
    meta mark set iifname map @groups
    ip daddr . meta mark @members accept
    tcp flags & (syn | rst) == 0x0 reject with tcp reset
    goto drop_namespace
  }}
  chain to_restricted {{
    ip daddr . ip saddr @admitted goto admitted_flow
    drop
  }}
  chain admitted_flow {{
    # those of guests are counted already, and so is a flow that nobody has answered yet
    iifname != "up0" accept
    ct status & confirmed != 0x0 accept
    ct mark set jhash ip saddr . th sport . th dport mod {parts} seed {mark}
    add @clients {{ ip daddr . ct mark ct count {flows} }} accept
    update @bounded_to {{ ip daddr counter }} drop
  }}
  chain input {{
    iifname "lo" accept
    # what the guard has judged
    ct state untracked ip daddr {{ {gateway}, 255.255.255.255 }} udp dport 67 accept
    ct state untracked ip daddr {gateway} udp dport 53 accept
    meta l4proto != tcp iifname != "up0" jump whole
    ct state established,related accept
    ip daddr @announced goto refuse
    iifname "up0" ip daddr {node} icmp type echo-request accept
    iifname "up0" drop
    ip daddr {gateway} tcp dport 53 accept
    ip daddr {gateway} icmp type echo-request accept
    goto drop_host
  }}
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    meta l4proto udp reject
    drop
  }}
}}
table arp virtualserver {{
  chain guard {{
    iifname {{ "up0", "lo" }} accept
    iifname . ether saddr . arp saddr ether . arp saddr ip @guard_arp meta mark set {mark} accept
    meta mark set {arp} update @dropped {{ iif . meta mark counter }}
    drop
  }}
}}
table bridge virtualserver {{
  # On a VPC a guest may say what it likes, under its own MAC. A bridge has guests on it and nobody else: the namespace
  # itself hears and says nothing there.
  chain guard {{
    iifname . ether saddr @guard_frame accept
    meta mark set {mac} update @dropped {{ iif . meta mark counter }}
    drop
  }}
}}
"""


def namespace_rules(ranges: Ranges, machine: Iterable[Network], mtu: int) -> str:
    """Return the commands that make the namespace's sets and rules so; elements stay as they are.

    Args:
        ranges: The installation's networks.
        machine: The machine's own addresses, of both families; that of the link is added.
        mtu: Of each link of the namespace.
    """
    own = [network for network in machine if isinstance(network, IPv4Network)]
    own.append(IPv4Network(f"{ranges.host_end(VERSION).ip}"))
    return _NAMESPACE.format(
        service=_set(network for network in ranges.service if network.version == VERSION),
        former="\n".join(f"add chain inet {TABLE} {name}\ndelete chain inet {TABLE} {name}" for name in _FORMER),
        gateway=listed(gateway for gateway in GATEWAYS if gateway.version == VERSION),
        node=ranges.node_end(VERSION).ip,
        ports=f"{LEAST_PORT}-{GATEWAY_PORTS - 1}",
        guests=listed(network for network in ranges.guest if network.version == VERSION),
        closed=listed(collapse_addresses([*own, _LINK_LOCAL])),
        mark=f"{MARK:#x}",
        fit=_FIT.format(segment=mtu - _HEADERS) if mtu < ETHERNET else "",
        decline=f"{_DECLINE:#x}",
        drop_chains=drops.chains(),
        drop_rules=drops.chain_rules(),
        arp=f"{drops.ARP:#x}",
        mac=f"{drops.REASONS['mac']:#x}",
        **_BOUNDS,
    )


def _set(values: Iterable[object]) -> str:
    """Return several values as a set, and one as itself: it is compared, not looked up."""
    several = [str(value) for value in values]
    return several[0] if len(several) == 1 else f"{{ {', '.join(several)} }}"


def listed(values: Iterable[object]) -> str:
    """Return values as nft's language has several of them, without the braces of a set."""
    return ", ".join(map(str, values))
