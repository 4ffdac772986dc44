"""Elements: one change is one transaction, and what nft prints is read as what we wrote."""

from __future__ import annotations

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


def test_an_entry_for_several_networks_is_an_element_for_each() -> None:
    port, address = Entry("published_to", "203.0.113.7 . tcp . 22"), Entry("admitted", "203.0.113.9")
    value = "10.0.0.0/8 : 10.42.0.2 . 22,192.0.2.7 : 10.42.0.2 . 22"
    assert transaction(Delta(removed={address: "10.0.0.0/8,192.0.2.7"}, added={port: value})) == [
        "delete element inet virtualserver admitted { 203.0.113.9 . 10.0.0.0/8, 203.0.113.9 . 192.0.2.7 }",
        "add element inet virtualserver published_to { 203.0.113.7 . tcp . 22 . 10.0.0.0/8 : 10.42.0.2 . 22, "
        "203.0.113.7 . tcp . 22 . 192.0.2.7 : 10.42.0.2 . 22 }",
    ]


PRINTED = """\
table inet virtualserver {
	set direct {
		type ipv4_addr
		elements = { 203.0.113.9 }
	}

	set announced {
		type ipv4_addr
	}

	set guard_dhcp {
		typeof iifname . @th,288,48
		elements = { "vst-1" . 0x25400000001,
				"vst-2" . 0x525400000002 }
	}

	set guard_own {
		typeof iifname . @th,192,32
		elements = { "vst-1" . 0x0,
				"vst-1" . 0xa2a0002 }
	}

	map published {
		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
		elements = { 203.0.113.7 . tcp . 22 : 10.42.0.2 . 2222, 203.0.113.7 . udp . 53 : 10.42.0.2 . 53 }
	}

	map published_to {
		type ipv4_addr . inet_proto . inet_service . ipv4_addr : ipv4_addr . inet_service
		flags interval
		elements = { 203.0.113.7 . tcp . 23 . 192.0.2.7 : 10.42.0.2 . 22,
				203.0.113.7 . tcp . 23 . 10.0.0.0/8 : 10.42.0.2 . 22 }
	}

	chain input {
		type filter hook input priority filter; policy drop;
		ip daddr { 169.254.1.1, 255.255.255.255 } udp dport 67 accept
	}
}
table inet foreign {
	set direct {
		type ipv4_addr
		elements = { 192.0.2.1 }
	}
}
table arp virtualserver {
	set guard_arp {
		type ifname . ether_addr . ether_addr . ipv4_addr
		elements = { "vst-1" . 02:54:00:00:00:01 . 02:54:00:00:00:01 . 0.0.0.0 }
	}
}
"""


def test_what_nft_prints_is_read_as_entries_and_foreign_sets_are_not() -> None:
    assert elements(PRINTED) == {
        Entry("direct", "203.0.113.9"): "",
        Entry("guard_dhcp", "vst-1 . 0x025400000001"): "",
        Entry("guard_dhcp", "vst-2 . 0x525400000002"): "",
        Entry("guard_own", "vst-1 . 0x00000000"): "",
        Entry("guard_own", "vst-1 . 0x0a2a0002"): "",
        Entry("published", "203.0.113.7 . tcp . 22"): "10.42.0.2 . 2222",
        Entry("published", "203.0.113.7 . udp . 53"): "10.42.0.2 . 53",
        Entry("published_to", "203.0.113.7 . tcp . 23"): ("10.0.0.0/8 : 10.42.0.2 . 22,192.0.2.7 : 10.42.0.2 . 22"),
        Entry("guard_arp", "vst-1 . 02:54:00:00:00:01 . 02:54:00:00:00:01 . 0.0.0.0"): "",
    }
    assert elements("") == {}
