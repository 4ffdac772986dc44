"""The rules of the namespace: their number does not depend on guests."""

from __future__ import annotations

import dataclasses
import re
from ipaddress import ip_network

from virtualserver.fabric.kernel.ruleset import namespace_rules
from virtualserver.installation import ranges

RANGES = ranges.choose([])


def test_no_set_is_of_intervals_which_do_not_stay_flat_but_where_clients_are_networks() -> None:
    text = namespace_rules(RANGES, [], 1500)
    assert text.count("interval") == 5
    assert "map published { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }" in text


def test_networks_of_the_other_family_are_left_out() -> None:
    both = dataclasses.replace(RANGES, service=(*RANGES.service, ip_network("fd00::/112")))
    assert namespace_rules(both, [ip_network("fd00::1/128")], 1500) == namespace_rules(RANGES, [], 1500)


def test_the_machines_own_addresses_are_dropped_and_neighbouring_ones_are_one() -> None:
    text = namespace_rules(
        RANGES, [ip_network("192.0.2.8/32"), ip_network("192.0.2.9/32"), ip_network("192.0.2.255/32")], 1500
    )
    assert "ip daddr != { 169.254.0.0/16, 192.0.2.8/31, 192.0.2.255/32, 198.19.0.1/32 } accept" in text


def test_the_rules_that_every_packet_meets_stay_few_and_segments_are_fitted_where_a_link_takes_less() -> None:
    text = namespace_rules(RANGES, [], 1500)
    assert re.findall(r"chain (\w+) { type filter hook (?:prerouting|forward)", text.partition("table arp")[0]) == [
        "guard",
        "forward",
    ]
    assert "maxseg" not in text
    assert "tcp option maxseg size > 1380 tcp option maxseg size set 1380" in namespace_rules(RANGES, [], 1420)
