"""MAC addresses: as asked for, or derived once and for all from the server's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from e2e.manifests import a_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.product import Product

DASHES, COLONS = "A2-1F-EE-09-06-5D", "a2:1f:ee:09:06:5e"
ASKED = {"dashes": DASHES, "colons": COLONS, "one": None, "two": None}


def _server(name: str, mac: str | None) -> dict[str, Any]:
    return a_server(name, network={"public": False} | ({"macAddress": mac} if mac else {}))


def _mac(product: Product, name: str) -> str:
    return product.guest(name).run("cat /sys/class/net/eth0/address")


@pytest.fixture(scope="module")
def servers(product: Product) -> Iterator[Product]:
    """Four running servers: with a MAC address in either form, and two with none."""
    try:
        product.apply(*(_server(name, mac) for name, mac in ASKED.items()))
        for name in ASKED:
            product.wait_ready(name, seconds=240)
        yield product
    finally:
        product.delete("vs", *ASKED)


@pytest.mark.parametrize(("name", "expected"), [("dashes", "a2:1f:ee:09:06:5d"), ("colons", COLONS)])
def test_the_guest_has_the_mac_in_either_form(servers: Product, name: str, expected: str) -> None:
    assert _mac(servers, name) == expected


def test_derived_ones_are_local_distinct_and_stay_over_re_creation(servers: Product) -> None:
    first, second = _mac(servers, "one"), _mac(servers, "two")
    assert first != second
    assert all(int(mac[:2], 16) & 0b11 == 0b10 for mac in (first, second)), "local and unicast"
    before = servers.get("vs", "one")["metadata"]["uid"]
    servers.delete("vs", "one")
    servers.apply(_server("one", None))
    assert servers.wait_ready("one")["metadata"]["uid"] != before
    assert _mac(servers, "one") == first


def test_a_duplicate_is_refused_with_a_condition_and_starts_when_the_other_goes(servers: Product) -> None:
    # The same address, written in the other form.
    servers.apply(_server("second", COLONS.upper().replace(":", "-")))
    try:
        condition = servers.wait_reason("second", "MACAddressTaken")
        assert condition["status"] == "False"
        assert f"spec.network.macAddress: {COLONS} belongs to VirtualServer colons" in condition["message"]
        assert not servers.get("vmi", "second")
        assert servers.condition("colons")["status"] == "True", "who came first keeps it"
        servers.delete("vs", "colons")
        servers.wait_ready("second")
        assert _mac(servers, "second") == COLONS
    finally:
        servers.delete("vs", "second")
