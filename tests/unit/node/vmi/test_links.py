"""A guest's link."""

from __future__ import annotations

import ipaddress
from typing import Any

from virtualserver.fabric.desired.state import DhcpLease, GuestLink, Resolver
from virtualserver.node.vmi.links import guest_link, has_taken

ADDRESS = ipaddress.ip_address("10.42.0.2")


def a_link(name: str = "one", *, attached: bool = False, **spec: Any) -> GuestLink:
    return guest_link(
        {"metadata": {"name": name}, "spec": spec},
        device="tap1",
        mac="02:00:00:00:00:01",
        user=1,
        addresses=(ADDRESS,),
        is_attached=attached,
        resolver=Resolver((), ()),
    )


def test_the_hostname_is_one_label() -> None:
    assert a_link().hostname == "one"
    assert a_link(hostname="web.example.test").hostname == "web"
    assert len(a_link("x" * 80).hostname) == 63


def test_only_own_addresses_are_translated() -> None:
    assert a_link().translated
    assert not a_link(attached=True).translated


def test_a_lease_counts_since_the_start_and_for_the_links_address() -> None:
    link = a_link()

    def taken(address: str, moment: float) -> bool:
        return has_taken(link, {link.mac: DhcpLease(link.mac, ipaddress.ip_address(address), moment)}, since=100.4)

    assert taken("10.42.0.2", 101)
    assert taken("10.42.0.2", 100), "leases have whole seconds"
    assert not taken("10.42.0.2", 90), "that was an earlier start"
    assert not taken("10.42.0.3", 101)
    assert not has_taken(link, {}, since=0)
