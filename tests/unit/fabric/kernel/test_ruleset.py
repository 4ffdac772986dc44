"""The rules: their number does not depend on guests, and what nft prints is read as what we wrote."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_network
from typing import Any

from virtualserver.fabric.desired.ledger import Delta, Entry
from virtualserver.fabric.kernel.ruleset import elements, host_rules, namespace_rules, transaction
from virtualserver.installation import ranges

RANGES = ranges.choose([])


def test_a_delta_is_one_transaction_that_takes_away_before_it_adds() -> None:
    port = Entry("published", "203.0.113.7 . tcp . 22")
    delta = Delta(
        removed={port: "10.42.0.2 . 22", Entry("route", "10.42.0.2"): "vst-1"},
        added={port: "10.42.0.3 . 22", Entry("self_pair", "vst-1 . vst-1"): "", Entry("direct", "203.0.113.9"): ""},
    )
    assert transaction(delta).splitlines() == [
        "delete element inet virtualserver published { 203.0.113.7 . tcp . 22 : 10.42.0.2 . 22 }",
        "add element inet virtualserver published { 203.0.113.7 . tcp . 22 : 10.42.0.3 . 22 }",
        'add element inet virtualserver self_pair { "vst-1" . "vst-1" }',
        "add element inet virtualserver direct { 203.0.113.9 }",
    ]
    assert transaction(Delta(removed={}, added={})) == ""


def test_what_nft_lists_is_read_as_entries_and_foreign_sets_are_not() -> None:
    ours = {"family": "inet", "table": "virtualserver"}
    pair = [{"concat": ["203.0.113.7", "tcp", 22]}, {"concat": ["10.42.0.2", 2222]}]
    listing: dict[str, Any] = {
        "nftables": [
            {"metainfo": {}},
            {"set": {**ours, "name": "direct", "elem": ["203.0.113.9"]}},
            {"set": {**ours, "name": "announced"}},
            {"set": {**ours, "name": "guard_dhcp", "elem": [{"concat": ["vst-1", 0x025400000001]}]}},
            {"map": {**ours, "name": "published", "elem": [pair]}},
            {"set": {"family": "inet", "table": "foreign", "name": "direct", "elem": ["192.0.2.1"]}},
        ]
    }
    assert elements(listing) == {
        Entry("direct", "203.0.113.9"): "",
        Entry("guard_dhcp", "vst-1 . 0x025400000001"): "",
        Entry("published", "203.0.113.7 . tcp . 22"): "10.42.0.2 . 2222",
    }


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


def test_no_set_is_of_intervals_which_do_not_stay_flat() -> None:
    assert "interval" not in namespace_rules(RANGES)


def test_networks_of_the_other_family_are_left_out() -> None:
    both = dataclasses.replace(RANGES, service=(*RANGES.service, ip_network("fd00::/112")))
    assert namespace_rules(both) == namespace_rules(RANGES)
