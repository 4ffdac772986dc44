"""What a guest's link and a Service become, and what is refused before it reaches a rule or a file."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest

from virtualserver.fabric.desired.entries import of_link, of_service
from virtualserver.fabric.desired.ledger import Entry
from virtualserver.fabric.desired.options import LONGEST_LINE
from virtualserver.fabric.desired.state import GATEWAYS, GuestLink, PublishedPort, Resolver, ServiceRules

LINK = GuestLink(
    device="vst-1",
    mac="52:54:00:00:00:01",
    addresses=(ip_address("10.42.0.2"),),
    hostname="web",
    resolver=Resolver(GATEWAYS, ("a.svc.cluster.local", "cluster.local")),
    user=64001,
)


def test_a_link_is_its_guard_its_tap_its_route_and_its_dhcp_files() -> None:
    assert of_link(LINK) == {
        Entry("guard_mac", "vst-1 . 52:54:00:00:00:01"): "",
        Entry("guard_ip", "vst-1 . 52:54:00:00:00:01 . 10.42.0.2"): "",
        Entry("guard_dhcp", "vst-1 . 0x525400000001"): "",
        Entry("guard_own", "vst-1 . 0x00000000"): "",
        Entry("guard_own", "vst-1 . 0x0a2a0002"): "",
        Entry("guard_arp", "vst-1 . 52:54:00:00:00:01 . 52:54:00:00:00:01 . 0.0.0.0"): "",
        Entry("guard_arp", "vst-1 . 52:54:00:00:00:01 . 52:54:00:00:00:01 . 10.42.0.2"): "",
        Entry("self_pair", "vst-1 . vst-1"): "",
        Entry("groups", "vst-1"): "0x00000001",
        Entry("tenants", "vst-1"): "0x00000001",
        Entry("members", "10.42.0.2 . 0x00000001"): "",
        Entry("tap", "vst-1"): "64001",
        Entry("tap-up", "vst-1"): "",
        Entry("route", "10.42.0.2"): "vst-1",
        Entry("dhcp-host", "vst-1"): "52:54:00:00:00:01,10.42.0.2\n",
        Entry("dhcp-options", "vst-1"): (
            "tag:vst-1,12,web\n"
            "tag:vst-1,option:dns-server,169.254.1.1\n"
            "tag:vst-1,option:domain-search,a.svc.cluster.local,cluster.local\n"
            "tag:vst-1,option:domain-name,a.svc.cluster.local\n"
        ),
    }


@pytest.mark.parametrize("rest", ["26,600", "121,0.10.42.0,99.0.0.0"])
def test_attack_a_search_list_whose_end_dnsmasq_would_read_as_a_line_for_everybody(rest: str) -> None:
    digits, *others = rest.split(",")
    searches = (*(f"f{number:02}.{'x' * 59}" for number in range(15)), "y" * 33 + digits, *others)
    assert f"tag:vst-1,option:domain-search,{','.join(searches)}"[1024:] == rest, "dnsmasq 2.90 reads 1,024 at a time"
    entries = of_link(dataclasses.replace(LINK, resolver=Resolver((), searches)))
    lines = entries[Entry("dhcp-options", "vst-1")].splitlines()
    assert all(line.startswith("tag:vst-1,") and len(line) <= LONGEST_LINE for line in lines)


def test_attack_name_servers_by_the_dozen_stay_in_a_line() -> None:
    servers = tuple(ip_address(f"203.0.113.{number}") for number in range(100, 200))
    link = dataclasses.replace(LINK, device="v" * 15, resolver=Resolver(servers, ()))
    entries = of_link(link)
    lines = entries[Entry("dhcp-options", link.device)].splitlines()
    assert all(line.startswith(f"tag:{link.device},") and len(line) <= LONGEST_LINE for line in lines)


def test_an_attached_address_is_direct_and_no_host_carries_a_set_tag() -> None:
    entries = of_link(dataclasses.replace(LINK, addresses=(ip_address("203.0.113.9"),), translated=False))
    assert Entry("direct", "203.0.113.9") in entries
    assert not any(entry.kind == "members" for entry in entries), "whom its Service admits may call it"
    assert "set:" not in "".join(value for entry, value in entries.items() if entry.kind == "dhcp-host")


def test_a_service_is_its_ports_addresses_and_names() -> None:
    address, guest = ip_address("203.0.113.7"), ip_address("10.42.0.2")
    rules = ServiceRules(
        frozenset({PublishedPort(address, 22, "TCP", guest, 2222), PublishedPort(address, 53, "UDP", guest, 53)}),
        frozenset({address}),
        {"web.a.svc.cluster.local": (guest,)},
    )
    assert of_service("uid", rules) == {
        Entry("published", "203.0.113.7 . tcp . 22"): "10.42.0.2 . 2222",
        Entry("published", "203.0.113.7 . udp . 53"): "10.42.0.2 . 53",
        Entry("announced", "203.0.113.7"): "",
        Entry("route", "203.0.113.7"): "local",
        Entry("names", "uid"): "10.42.0.2 10-42-0-2.ip.cluster.local web.a.svc.cluster.local\n",
    }


def clients_of(*texts: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in texts)


@pytest.mark.parametrize(
    ("clients", "expected"),
    [
        (None, {Entry("published", "203.0.113.7 . tcp . 22"): "10.42.0.2 . 22"}),
        (clients_of("0.0.0.0/0", "10.0.0.0/8"), {Entry("published", "203.0.113.7 . tcp . 22"): "10.42.0.2 . 22"}),
        (
            clients_of("192.0.2.7/32", "10.128.0.0/9", "10.0.0.0/9", "10.1.0.0/16", "2001:db8::/32"),
            {Entry("published_to", "203.0.113.7 . tcp . 22"): "10.0.0.0/8 : 10.42.0.2 . 22,192.0.2.7 : 10.42.0.2 . 22"},
        ),
        (clients_of("::/0"), {}),
        ((), {}),
    ],
    ids=["everybody", "the whole family", "some", "IPv6 only", "nobody"],
)
def test_fault_16_a_port_is_published_to_its_clients_only(
    clients: tuple[IPv4Network | IPv6Network, ...] | None, expected: dict[Entry, str]
) -> None:
    port = PublishedPort(ip_address("203.0.113.7"), 22, "TCP", ip_address("10.42.0.2"), 22, clients)
    assert of_service("uid", ServiceRules(frozenset({port}))) == expected


def several(
    *targets: int, affinity: int | None = None, clients: tuple[IPv4Network | IPv6Network, ...] | None = None
) -> dict[Entry, str]:
    """Return the entries of a port with some targets."""
    address = ip_address("203.0.113.7")
    ports = [
        PublishedPort(address, 53, "UDP", ip_address(f"10.42.0.{target}"), 53, clients, affinity) for target in targets
    ]
    return of_service("uid", ServiceRules(frozenset(ports)))


def test_a_port_with_one_target_is_one_element_and_with_several_a_chain_and_what_leads_there() -> None:
    key, chain = "203.0.113.7 . udp . 53", "goto spread_203.0.113.7_udp_53"
    assert several(2) == {Entry("published", key): "10.42.0.2 . 53"}
    ends = "10.42.0.3 . 53,10.42.0.20 . 53"
    assert several(20, 3) == {Entry("spread", key): chain, Entry("ends", key): ends}
    assert several(20, 3, affinity=60) == {Entry("spread", key): chain, Entry("ends", key): f"60:{ends}"}
    assert several(3, affinity=60)[Entry("ends", key)] == "60:10.42.0.3 . 53", "who it is has to be remembered"
    some = several(20, 3, clients=clients_of("10.0.0.0/8", "192.0.2.7"))
    assert some == {Entry("spread_to", key): f"10.0.0.0/8 : {chain},192.0.2.7 : {chain}", Entry("ends", key): ends}
    assert several(20, 3, clients=()) == {}


@pytest.mark.parametrize(
    ("clients", "expected"),
    [
        (clients_of("0.0.0.0/0"), {}),
        (
            clients_of("10.0.0.0/8", "192.0.2.7/32"),
            {Entry("restricted", "203.0.113.9"): "", Entry("admitted", "203.0.113.9"): "10.0.0.0/8,192.0.2.7"},
        ),
        (clients_of("::/0"), {Entry("restricted", "203.0.113.9"): ""}),
        ((), {Entry("restricted", "203.0.113.9"): ""}),
    ],
    ids=["everybody", "some", "IPv6 only", "nobody"],
)
def test_fault_16_an_attached_address_is_open_to_its_clients_only(
    clients: tuple[IPv4Network | IPv6Network, ...], expected: dict[Entry, str]
) -> None:
    assert of_service("uid", ServiceRules(restricted={ip_address("203.0.113.9"): clients})) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("device", 'x" accept; "'),
        ("device", "a-name-longer-than-15"),
        ("mac", "52-54-00-00-00-01"),
        ("hostname", "web\ntag:other"),
        ("hostname", "web,option"),
        ("addresses", ()),
        ("addresses", GATEWAYS),
        ("addresses", (ip_address("2001:db8::1"),)),
        ("resolver", Resolver((), ("a.example,192.0.2.1",))),
        ("resolver", Resolver((), ("a.example\ndhcp-script=/bin/sh",))),
    ],
)
def test_a_link_with_a_value_that_is_not_safe_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        of_link(dataclasses.replace(LINK, **{field: value}))


def test_all_faults_of_a_service_are_named_at_once() -> None:
    port = PublishedPort(ip_address("203.0.113.7"), 0, "TCP", ip_address("2001:db8::2"), 22)
    rules = ServiceRules(frozenset({port}), frozenset(), {"no name": ()})
    with pytest.raises(ValueError, match=r"(?s)ports\.target.*ports: 0 to 22.*owner.*no name"):
        of_service("../escape", rules)
