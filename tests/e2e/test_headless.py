"""A server without an address of its own outside: found by name, and able to reach out."""

from __future__ import annotations

import base64
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from e2e.manifests import a_server
from e2e.terminal import on_terminal
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.internet import Internet
    from e2e.product import Product

NETWORK = {"public": False, "directAttachLoadBalancerIP": False}


@pytest.fixture(scope="module")
def pair(product: Product) -> Iterator[Product]:
    """Two running servers, `alone` and `friend`, neither with ports; `stranger` has the same in another namespace."""
    product.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}},
        a_server("alone", network=NETWORK),
        a_server("friend", network=NETWORK),
        a_server("stranger", namespace="elsewhere", network=NETWORK),
    )
    try:
        for namespace, name in (("default", "alone"), ("default", "friend"), ("elsewhere", "stranger")):
            product.wait_ready(name, namespace=namespace, seconds=240)
        yield product
    finally:
        product.delete("vs", "alone", "friend")
        product.delete("namespace", "elsewhere")


def _internal(product: Product, name: str) -> str:
    return product.get("vs", name)["status"]["network"]["internalIP"]


def test_it_has_no_address_outside_and_a_headless_service(pair: Product) -> None:
    network = pair.get("vs", "alone")["status"]["network"]
    assert network["externalIP"] == network["serviceIP"] == ""
    assert network["internalIP"] == pair.guest("alone").address()
    assert not any(ip_address(network["internalIP"]) in pool for pool in _pools(pair))
    assert pair.get("service", "alone")["spec"]["clusterIP"] == "None"
    assert not pair.get("service", "alone-tcp") and not pair.get("service", "alone-udp")


def test_another_guest_finds_it_by_name_and_reaches_it(pair: Product) -> None:
    internal, friend = _internal(pair, "alone"), pair.guest("friend")
    pair.guest("alone").serve("tcp", 5000)
    assert f"Address: {internal}\n" in friend.run("nslookup -type=a alone.default.svc.cluster.local") + "\n"
    # ping asks as any program does, through the search list.
    assert f"({internal})" in friend.run("ping -c 1 -W 10 alone")
    assert friend.probe("tcp", internal, 5000).result == "open"


def test_a_guest_of_another_namespace_needs_the_longer_name(pair: Product) -> None:
    internal, stranger = _internal(pair, "alone"), pair.guest("stranger", namespace="elsewhere")
    assert f"({internal})" in stranger.run("ping -c 1 -W 10 alone.default")
    assert stranger.attempt("ping -c 1 -W 10 alone").status != 0


def test_a_name_that_nobody_has_is_not_found(pair: Product) -> None:
    answer = pair.guest("friend").attempt("nslookup -type=a nobody.default.svc.cluster.local")
    assert answer.status != 0 and "NXDOMAIN" in answer.output


def test_what_it_sends_out_is_translated(pair: Product, client: Internet) -> None:
    guest = pair.guest("alone")
    with client.listening("tcp", 7778) as listener:
        assert guest.probe("tcp", client.address, 7778, seconds=10).result == "open"
        (peer,) = listener.peers()
    assert peer != guest.address()
    with client.listening("udp", 7779) as listener:
        assert guest.probe("udp", client.address, 7779, seconds=10, payload="x").result == "open"
        assert set(listener.peers()) == {peer}


def test_the_client_outside_cannot_reach_it(pair: Product, client: Internet) -> None:
    internal = _internal(pair, "alone")
    assert pair.guest("friend").probe("tcp", internal, 22, seconds=10).result == "open", "the guest does listen"
    assert client.probe("tcp", internal, 22)["result"] != "open"


def test_its_console_and_its_ports_are_reached_by_the_api_server(pair: Product) -> None:
    """Fault 49: nothing that a newcomer has led into a server without an address outside."""
    with on_terminal(pair.command("console", "alone"), pair.environment) as terminal:
        before = terminal.settings
        terminal.wait_for("Ctrl-] leaves it")
        eventually(lambda: terminal.settings != before, what="the terminal to hand on every key")
        terminal.type(f"\n@typed 20 {base64.b64encode(b'echo typed').decode()}\n")
        terminal.wait_for(base64.b64encode(b"typed\n").decode())
        terminal.type("\x1d")
        assert terminal.ended() == 0
        assert terminal.settings == before
    done = pair.attempt("forward", "alone", "22", stdin="x\n")
    assert done.stdout.endswith("x\n") and done.stdout != "x\n", done.stderr
    silent = pair.attempt("forward", "alone", "23")
    assert silent.returncode == 1 and "port 23 of the guest: connection refused" in silent.stderr


def test_what_its_guest_wrote_to_the_console_is_kept(pair: Product) -> None:
    """Fault 49: whoever was not there when a guest said why it does not start never learnt it."""
    pair.guest("alone").run("echo before")
    assert base64.b64encode(b"before\n").decode() in pair.vs("logs", "alone")
    with on_terminal(pair.command("logs", "-f", "--tail", "0", "alone"), pair.environment) as terminal:

        def heard() -> bool:
            pair.guest("alone").run("echo after")
            terminal.wait_for(base64.b64encode(b"after\n").decode(), seconds=3)
            return True

        eventually(heard, what="what comes")
        assert base64.b64encode(b"before\n").decode() not in terminal.heard


def test_headless_is_made_on_request_beside_public_without_ports(pair: Product) -> None:
    pair.apply(
        a_server("asked", running=False, network={"public": True, "headless": True}),
        a_server("unasked", running=False, network={"public": True}),
    )
    try:
        for name in ("asked", "unasked"):
            pair.wait_message(name, "public has no effect: add tcp.ports")
        assert pair.get("service", "asked")["spec"]["clusterIP"] == "None"
        assert not pair.get("service", "unasked")
    finally:
        pair.delete("vs", "asked", "unasked")


def _pools(product: Product) -> list[IPv4Network | IPv6Network]:
    return [ip_network(text) for pool in product.pools() for text in pool["networks"]]
