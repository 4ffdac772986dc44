"""Elements: one change is one transaction, and what nft prints is read as what we wrote."""

from __future__ import annotations

from virtualserver.fabric.desired.ledger import Delta, Entry
from virtualserver.fabric.kernel.elements import chains_again, elements, transaction


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


def test_a_chain_is_filled_before_anything_leads_there_and_goes_when_nothing_does() -> None:
    key, chain = "203.0.113.7 . tcp . 22", "spread_203.0.113.7_tcp_22"
    leads, ends = {Entry("spread", key): f"goto {chain}"}, Entry("ends", key)
    one, other = {ends: "10.42.0.2 . 22,10.42.0.3 . 22"}, {ends: "90:10.42.0.3 . 22"}
    element, name = f"spread {{ {key} : goto {chain} }}", f"inet virtualserver {chain}"
    turn = "meta l4proto tcp dnat ip to numgen inc mod 2 map { 0 : 10.42.0.2 . 22, 1 : 10.42.0.3 . 22 }"
    filled = [f"add chain {name}", f"flush chain {name}", f"add rule {name} {turn}"]
    assert transaction(Delta({}, leads | one)) == [*filled, f"add element inet virtualserver {element}"]
    assert transaction(Delta(other, one)) == filled
    gone = [f"flush chain {name}", f"delete chain {name}"]
    assert transaction(Delta(leads | other, {})) == [f"delete element inet virtualserver {element}", *gone]
    client = "ip daddr . meta l4proto . th dport . ip saddr"
    assert transaction(Delta(one, other))[2:] == [
        f"add rule {name} ct mark set {client} map @affinity",
        f"add rule {name} ct mark != {{ 0x0a2a0003 }} delete @affinity {{ {client} : ct mark }} "
        "ct mark set numgen inc mod 1 map { 0 : 0x0a2a0003 }",
        f"add rule {name} update @affinity {{ {client} timeout 90s : ct mark }}",
        f"add rule {name} meta l4proto tcp dnat ip to ct mark map {{ 0x0a2a0003 : 10.42.0.3 . 22 }}",
    ]


SPREAD = """\
table inet virtualserver {
	map spread {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 203.0.113.7 . tcp . 22 : goto spread_203.0.113.7_tcp_22 }
	}

	chain spread_203.0.113.7_tcp_22 {
		meta l4proto tcp dnat ip to numgen inc mod 2 map { 0 : 10.42.0.2 . 22, 1 : 10.42.0.3 . 22 }
	}

	chain spread_203.0.113.7_tcp_23 {
	}

	chain spread_203.0.113.7_udp_53 {
		ct mark set ip daddr . meta l4proto . th dport . ip saddr map @affinity
		ct mark != 0x0a2a0002 delete @affinity { ip daddr . ip saddr : ct mark } ct mark set 0x0a2a0002
		update @affinity { ip daddr . meta l4proto . th dport . ip saddr timeout 1d1h1m30s : ct mark }
		meta l4proto udp dnat ip to ct mark map { 0x0a2a0002 : 10.42.0.2 . 53 }
	}

	chain spread_203.0.113.7_tcp_24 {
		meta l4proto tcp dnat ip to numgen inc mod 2 map { 0 : 10.42.0.2 . 22, 1 : 10.42.0.3 . 22 }
		counter packets 0 bytes 0
	}
}
table inet foreign {
	chain spread_203.0.113.7_tcp_25 {
	}
}
"""


def test_what_nft_prints_of_chains_is_read_and_one_that_is_not_as_we_filled_it_is_not_put_back() -> None:
    assert elements(SPREAD) == {
        Entry("spread", "203.0.113.7 . tcp . 22"): "goto spread_203.0.113.7_tcp_22",
        Entry("ends", "203.0.113.7 . tcp . 22"): "10.42.0.2 . 22,10.42.0.3 . 22",
        Entry("ends", "203.0.113.7 . udp . 53"): "90090:10.42.0.2 . 53",
        Entry("ends", "203.0.113.7 . tcp . 23"): "",
        Entry("ends", "203.0.113.7 . tcp . 24"): "",
    }
    again = {command.split()[4] for command in chains_again(SPREAD)}
    assert again == {"spread_203.0.113.7_tcp_22", "spread_203.0.113.7_udp_53"}


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
