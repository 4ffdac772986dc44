"""Elements: one change is one transaction, and what nft prints is read as what we wrote."""

from __future__ import annotations

from typing import Any

from virtualserver.fabric.desired.ledger import Delta, Entry
from virtualserver.fabric.kernel.elements import elements, transaction


def test_a_delta_is_one_transaction_that_takes_away_before_it_adds() -> None:
    port = Entry("published", "203.0.113.7 . tcp . 22")
    delta = Delta(
        removed={port: "10.42.0.2 . 22", Entry("route", "10.42.0.2"): "vst-1"},
        added={port: "10.42.0.3 . 22", Entry("self_pair", "vst-1 . vst-1"): "", Entry("direct", "203.0.113.9"): ""},
    )
    assert transaction(delta) == [
        "delete element inet virtualserver published { 203.0.113.7 . tcp . 22 : 10.42.0.2 . 22 }",
        "add element inet virtualserver published { 203.0.113.7 . tcp . 22 : 10.42.0.3 . 22 }",
        'add element inet virtualserver self_pair { "vst-1" . "vst-1" }',
        "add element inet virtualserver direct { 203.0.113.9 }",
    ]
    assert transaction(Delta(removed={}, added={})) == []


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
