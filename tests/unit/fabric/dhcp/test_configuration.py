"""What dnsmasq is told, and what its lease file tells."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address
from pathlib import Path

import pytest

from virtualserver.fabric.desired.state import DhcpLease
from virtualserver.fabric.dhcp.configuration import configuration, resolver_adjustments, upstream
from virtualserver.fabric.dhcp.leases import parse_leases
from virtualserver.host.resolv_conf import parse


def test_leases_are_read_with_the_time_at_which_they_were_taken() -> None:
    text = "1700003600 52:54:00:AA:00:01 10.42.0.2 web *\nduid 00:01\n1700007200 52:54:00:aa:00:02 203.0.113.9 * *\n"
    assert parse_leases(text) == {
        "52:54:00:aa:00:01": DhcpLease("52:54:00:aa:00:01", ip_address("10.42.0.2"), 1_700_000_000.0),
        "52:54:00:aa:00:02": DhcpLease("52:54:00:aa:00:02", ip_address("203.0.113.9"), 1_700_003_600.0),
    }


@pytest.mark.parametrize("text", ["", "half a line", "x 52:54:00:aa:00:01 10.42.0.2 web *"])
def test_what_is_no_lease_is_none(text: str) -> None:
    assert parse_leases(text) == {}


def test_dnsmasq_asks_the_hosts_servers_off_the_loopback() -> None:
    assert upstream(parse("nameserver 192.0.2.53\nsearch a\nnameserver 192.0.2.54\n")) == (
        "nameserver 192.0.2.53\nnameserver 192.0.2.54\n"
    )
    assert upstream(parse("nameserver ::1\nnameserver fe80::1%eth0\nnameserver 127.0.0.53\nnameserver x\n")) == ""
    assert upstream(parse("nameserver 2001:db8::53\n")) == "", "the namespace has IPv4 only"


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (None, ("192.0.2.1",), ""),
        (("192.0.2.1",), ("192.0.2.1",), ""),
        (("192.0.2.1",), ("192.0.2.2", "192.0.2.3"), "192.0.2.2, 192.0.2.3 now, before 192.0.2.1"),
        (("192.0.2.1",), (), "none that guests reach now, before 192.0.2.1"),
    ],
)
def test_other_name_servers_are_told(before: tuple[str, ...] | None, now: tuple[str, ...], told: str) -> None:
    """Fault 33."""
    found = resolver_adjustments(before, now)
    assert len(found) == bool(told) and all(told in one.what for one in found)


def test_every_network_has_a_static_range_on_the_gateways_shared_network() -> None:
    text = configuration(Path("/run/x"), [IPv4Network("10.42.0.0/16"), IPv4Network("203.0.113.0/24")], 1400)
    assert "dhcp-range=10.42.0.0,static,255.255.0.0,3600s\n" in text
    assert "shared-network=169.254.1.1,203.0.113.0\n" in text
    assert "dhcp-option=option:mtu,1400\n" in text
    assert "set:" not in text
