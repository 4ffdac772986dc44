"""MAC addresses: as asked for, or derived once and for all from the server's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.manifests import a_server

if TYPE_CHECKING:
    from e2e.product import Product

DASHES, COLONS = "A2-1F-EE-09-06-5D", "a2:1f:ee:09:06:5e"


def _mac(product: Product, name: str) -> str:
    return product.guest(name).run("cat /sys/class/net/eth0/address")


def test_the_guest_has_the_mac_in_either_form(product: Product) -> None:
    product.apply(
        a_server("dashes", network={"public": False, "macAddress": DASHES}),
        a_server("colons", network={"public": False, "macAddress": COLONS}),
    )
    try:
        for name, expected in (("dashes", "a2:1f:ee:09:06:5d"), ("colons", COLONS)):
            product.wait_ready(name)
            assert _mac(product, name) == expected
    finally:
        product.delete("vs", "dashes", "colons")


def test_derived_ones_are_local_distinct_and_stay_over_re_creation(product: Product) -> None:
    product.apply(a_server("one", network={"public": False}), a_server("two", network={"public": False}))
    try:
        for name in ("one", "two"):
            product.wait_ready(name)
        first, second = _mac(product, "one"), _mac(product, "two")
        assert first != second
        assert all(int(mac[:2], 16) & 0b11 == 0b10 for mac in (first, second)), "local and unicast"
        product.delete("vs", "one")
        product.apply(a_server("one", network={"public": False}))
        product.wait_ready("one")
        assert _mac(product, "one") == first
    finally:
        product.delete("vs", "one", "two")


def test_a_duplicate_is_refused_with_a_condition_and_starts_when_the_other_goes(product: Product) -> None:
    network = {"public": False, "macAddress": COLONS}
    product.apply(a_server("holder", network=network))
    product.wait_ready("holder")
    product.apply(a_server("second", network={**network, "macAddress": COLONS.upper().replace(":", "-")}))
    try:
        condition = product.wait_reason("second", "MacAddressTaken")
        assert COLONS in condition["message"].lower().replace("-", ":") and "holder" in condition["message"]
        assert not product.get("vmi", "second")
        product.delete("vs", "holder")
        product.wait_ready("second")
    finally:
        product.delete("vs", "holder", "second")
