"""A load balancer address that is the guest's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.manifests import a_floating_service, a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.internet import Internet
    from e2e.product import Product


@pytest.fixture(scope="module", params=[True, False], ids=["public", "private"])
def attached(request: pytest.FixtureRequest, product: Product) -> Iterator[tuple[Product, str, str]]:
    """A running server whose own NIC has an address of either pool: (product, name, address)."""
    name = "direct" if request.param else "static"
    product.apply(
        a_server(name, network={"public": request.param, "directAttachLoadBalancerIP": True, "headless": True})
    )
    status = product.wait_ready(name)["status"]
    yield product, name, status["network"]["externalIP"]
    product.delete("vs", name)


def test_the_guest_has_the_address_and_status_says_so_twice(attached: tuple[Product, str, str]) -> None:
    product, name, address = attached
    network = product.get("vs", name)["status"]["network"]
    assert network["internalIP"] == network["externalIP"] == address
    assert product.guest(name).address() == address
    ingress = product.get("service", f"{name}-tcp")["status"]["loadBalancer"]["ingress"]
    assert [entry["ip"] for entry in ingress] == [address]


def test_any_port_and_ping_answer_on_it(attached: tuple[Product, str, str], client: Internet) -> None:
    product, name, address = attached
    guest = product.guest(name)
    for protocol, port in (("tcp", 12345), ("udp", 23456)):
        guest.serve(protocol, port)
        answer = eventually(
            lambda protocol=protocol, port=port: str(client.probe(protocol, address, port).get("answer", "")),
            what=f"{protocol} {port}",
            seconds=30,
        )
        assert client.address in answer
    assert client.pings(address)
    assert client.probe("tcp", address, 12346)["result"] == "refused", "the guest itself refuses a closed port"


def test_what_the_guest_sends_has_it_as_source(attached: tuple[Product, str, str], client: Internet) -> None:
    product, name, address = attached
    with client.listening("tcp", 7777) as listener:
        assert product.guest(name).probe("tcp", client.address, 7777).result == "open"
        assert listener.peers() == [address]


def test_floating_addresses_come_in_beside_it_and_what_the_guest_sends_has_its_own(
    attached: tuple[Product, str, str], client: Internet
) -> None:
    product, name, address = attached
    service, network = f"{name}-beside", product.get("vs", name)["spec"]["network"]
    product.guest(name).serve("tcp", 12399)
    product.apply(a_floating_service(service), a_server(name, network={**network, "floatingIPs": [service]}))
    product.wait_message(name, f"what it sends leaves with its own address {address}")
    status = product.wait_ready(name)["status"]
    floating = status["network"]["floatingIPs"][service]
    assert status["network"]["internalIP"] == address != floating
    for called in (floating, address):
        assert client.address in str(client.probe("tcp", called, 12399).get("answer"))
    with client.listening("tcp", 7779) as listener:
        assert product.guest(name).probe("tcp", client.address, 7779).result == "open"
        assert listener.peers() == [address]
    product.apply(a_server(name, network=network))
    eventually(lambda: not product.get("vs", name)["status"]["network"]["floatingIPs"], what="no floating address")
    product.delete("service", service)


def test_it_stays_over_stop_start_and_re_creation_of_the_guest(attached: tuple[Product, str, str]) -> None:
    product, name, address = attached
    product.power(name, "stop")
    product.wait_reason(name, "VirtualServerStopped")
    product.power(name, "start")
    product.wait_ready(name)
    assert product.guest(name).address() == address
    product.delete("vmi", name)
    product.wait_ready(name)
    assert product.guest(name).address() == address


def test_headless_beside_direct_attach_makes_the_name_resolve_to_it(attached: tuple[Product, str, str]) -> None:
    product, name, address = attached
    answer = product.guest(name).run(f"nslookup -type=a {name}.default.svc.cluster.local")
    assert f"Address: {address}\n" in answer + "\n"
