"""LoadBalancer Services that users make themselves: an address of a pool, and ports that answer."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from e2e.manifests import a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.internet import Internet
    from e2e.product import Product

POOLS: list[tuple[str, dict[str, str], str]] = [
    ("mine", {}, "public"),
    ("inside", {"metallb.io/address-pool": "private"}, "private"),
    ("inside-old", {"metallb.universe.tf/address-pool": "private"}, "private"),
]


def _service(name: str, *, annotations: dict[str, str], selector: dict[str, str] | None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "type": "LoadBalancer",
            "ports": [{"name": "page", "port": 8443, "targetPort": 80}],
            **({"selector": selector} if selector else {}),
        },
    }


@pytest.fixture(scope="module")
def backend(product: Product) -> Iterator[Product]:
    """A running server without ports, `backend`, whose guest serves a page on port 80."""
    product.apply(a_server("backend", network={"public": False}))
    try:
        product.wait_ready("backend", seconds=180)
        yield product
    finally:
        product.delete("vs", "backend")


def _address(product: Product, name: str) -> str:
    return product.kubectl("get", "service", name, "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")


@pytest.mark.parametrize(("name", "annotations", "pool"), POOLS)
def test_it_gets_an_address_and_the_port_answers_outside(
    backend: Product, client: Internet, name: str, annotations: dict[str, str], pool: str
) -> None:
    selector = {"virtualservers.coreweave.com/name": "backend"}
    backend.apply(_service(name, annotations=annotations, selector=selector))
    try:
        address = eventually(lambda: _address(backend, name), what="an address")
        networks = [ip_network(text) for one in backend.pools() if one["name"] == pool for text in one["networks"]]
        assert any(ip_address(address) in network for network in networks)

        def page() -> str:
            asked = client.probe("tcp", address, 8443, seconds=10, payload="GET / HTTP/1.0\r\n\r\n")
            return str(asked.get("answer", ""))

        assert "200 OK" in eventually(page, what="the page")
        assert client.probe("tcp", address, 80)["result"] != "open", "the guest's own port is not what was published"
    finally:
        backend.delete("service", name)
    eventually(lambda: client.probe("tcp", address, 8443)["result"] != "open", what="the port to close")


def test_a_service_for_floating_gets_its_address_before_any_server_uses_it(product: Product) -> None:
    product.apply(_service("floating", annotations={}, selector=None))
    try:
        address = eventually(lambda: _address(product, "floating"), what="an address")
        columns = product.kubectl("get", "service", "floating", "--no-headers").split()
        assert columns[3] == address, "as kubectl shows it"
    finally:
        product.delete("service", "floating")


def test_its_selector_may_match_later_and_no_longer(backend: Product, client: Internet) -> None:
    backend.apply(_service("late", annotations={}, selector={"virtualservers.coreweave.com/name": "nobody"}))
    try:
        address = eventually(lambda: _address(backend, "late"), what="an address")
        assert client.probe("tcp", address, 8443)["result"] != "open"
        for name, expected in (("backend", True), ("nobody", False)):
            selector = {"virtualservers.coreweave.com/name": name}
            backend.apply(_service("late", annotations={}, selector=selector))
            eventually(
                lambda expected=expected: (client.probe("tcp", address, 8443)["result"] == "open") is expected,
                what=f"the port to be {'open' if expected else 'closed'}",
            )
        assert _address(backend, "late") == address
    finally:
        backend.delete("service", "late")
