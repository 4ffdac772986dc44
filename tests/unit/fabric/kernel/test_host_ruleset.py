"""The rules of the host: which traffic of pools they let pass, and as what."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_network

from virtualserver.fabric.kernel.host_ruleset import host_ports, host_rules
from virtualserver.installation import ranges

RANGES = ranges.choose([])


def test_pools_are_masqueraded_on_uplinks_unless_the_network_beyond_routes_them() -> None:
    text = host_rules("vs-default", "vsh-0000a1", RANGES, ["eth0", "wlan0"])
    masquerade = 'ip saddr { 198.18.0.0/24, 203.0.113.0/24 } oifname { "eth0", "wlan0" } masquerade'
    assert masquerade in text
    assert masquerade not in host_rules("vs-default", "vsh-0000a1", RANGES, [])
    one = dataclasses.replace(RANGES, routed=(ip_network("203.0.113.0/24"),))
    text = host_rules("vs-default", "vsh-0000a1", one, ["eth0", "wlan0"])
    assert 'ip saddr { 198.18.0.0/24 } oifname { "eth0", "wlan0" } masquerade' in text
    both = dataclasses.replace(RANGES, routed=(*one.routed, ip_network("198.18.0.0/24")))
    assert "oifname {" not in host_rules("vs-default", "vsh-0000a1", both, ["eth0", "wlan0"])


def test_ports_of_the_machines_own_address_are_one_rule_and_none_where_there_is_none() -> None:
    ports = [("udp", 53), ("tcp", 443)]
    own = ip_address("192.0.2.9")
    on_host = ranges.choose([], is_public_host=True)
    text = host_ports("vs-default", on_host, own, ports)
    rule = "ip daddr 192.0.2.9 meta l4proto . th dport { tcp . 443, udp . 53 } dnat ip to 198.19.0.2"
    assert text.count(rule) == 2, "clients' and the machine's own"
    assert "dnat" not in host_ports("vs-default", on_host, None, ports)
    assert "dnat" not in host_ports("vs-default", on_host, own, [])
    assert "ip daddr 198.19.0.2 ct status dnat accept" in host_rules("vs-default", "vsh-0000a1", on_host, ["eth0"])
    assert "ct status dnat" not in host_rules("vs-default", "vsh-0000a1", RANGES, ["eth0"])
