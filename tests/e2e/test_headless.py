"""A server without an address of its own outside: found by name, and able to reach out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.manifests import a_server
from e2e.product import Product, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.internet import Internet

NETWORK = {"public": False}


@pytest.fixture(scope="module")
def pair(product: Product) -> Iterator[Product]:
    """Two running servers, `alone` and `friend`, neither with ports."""
    product.apply(a_server("alone", network=NETWORK), a_server("friend", network=NETWORK))
    for name in ("alone", "friend"):
        product.wait_ready(name)
    yield product
    product.delete("vs", "alone", "friend")


def test_it_has_no_address_outside_and_a_headless_service(pair: Product) -> None:
    network = pair.get("vs", "alone")["status"]["network"]
    assert network["externalIP"] == ""
    assert network["internalIP"] == pair.guest("alone").address()
    assert pair.get("service", "alone")["spec"]["clusterIP"] == "None"
    assert not pair.get("service", "alone-tcp") and not pair.get("service", "alone-udp")


def test_another_guest_finds_it_by_name_and_reaches_it(pair: Product) -> None:
    internal = pair.get("vs", "alone")["status"]["network"]["internalIP"]
    friend = pair.guest("friend")
    assert internal in friend.run("nslookup alone.default.svc.cluster.local")
    assert internal in friend.run("nslookup alone"), "the search list leads there"
    pair.guest("alone").serve("tcp", 5000)
    assert friend.probe("tcp", internal, 5000).result == "open"


def test_what_it_sends_out_is_translated(pair: Product, client: Internet) -> None:
    internal = pair.get("vs", "alone")["status"]["network"]["internalIP"]
    with client.listening("tcp", 7778) as listener:
        assert pair.guest("alone").probe("tcp", client.address, 7778).result == "open"
        (peer,) = listener.peers()
    assert peer != internal


def test_the_client_outside_cannot_reach_it(pair: Product, client: Internet) -> None:
    internal = pair.get("vs", "alone")["status"]["network"]["internalIP"]
    assert client.probe("tcp", internal, 22)["result"] != "open"


def test_headless_is_made_on_request_beside_public_without_ports(pair: Product) -> None:
    pair.apply(a_server("asked", running=False, network={"public": True, "headless": True}))
    try:
        service = eventually(lambda: pair.get("service", "asked"), what="the headless Service", seconds=30)
        assert service["spec"]["clusterIP"] == "None"
        eventually(
            lambda: "no effect" in pair.condition("asked").get("message", ""),
            what="the message that public has no effect yet",
            seconds=30,
        )
    finally:
        pair.delete("vs", "asked")
