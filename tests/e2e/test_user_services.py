"""LoadBalancer Services that users make themselves: an address of a pool, and ports that answer."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from e2e.manifests import a_server
from harness.waiting import eventually
from virtualserver.api import names

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


def _selecting(name: str, selector: dict[str, str], **changes: Any) -> dict[str, Any]:
    """Return a Service inside the cluster, as `virtctl expose` and others make it."""
    service = _service(name, annotations={}, selector=selector)
    service["spec"]["type"] = "ClusterIP"
    service["metadata"] |= changes
    return service


def _published(product: Product, name: str, *, namespace: str = "default") -> str:
    conditions = product.get("service", name, namespace=namespace)["status"].get("conditions", [])
    return next((one["reason"] for one in conditions if one["type"] == names.PORTS_PUBLISHED), "")


def test_fault_39_services_find_a_guest_by_the_labels_that_clients_rely_on(backend: Product) -> None:
    selectors = {
        "by-name": {"vm.kubevirt.io/name": "backend"},
        "by-id": {"vmi.kubevirt.io/id": "backend"},
        "by-domain": {"kubevirt.io/domain": "backend"},
        "by-launcher": {"kubevirt.io": "virt-launcher", "kubevirt.io/vm": "backend"},
        "by-label": {"app": "shop"},
    }
    backend.kubectl("label", "vs", "backend", "app=shop")
    address = backend.get("vs", "backend")["status"]["network"]["internalIP"]
    backend.apply(*(_selecting(name, selector) for name, selector in selectors.items()))
    backend.kubectl("create", "namespace", "labels-neighbour")
    foreign = _service("foreign", annotations={}, selector=selectors["by-launcher"])
    try:

        def found(name: str) -> list[str]:
            addresses = "jsonpath={.endpoints[*].addresses[*]}"
            return backend.try_kubectl("get", "endpointslice", f"{name}-ipv4", "-o", addresses).stdout.split()

        for name in selectors:
            eventually(lambda name=name: found(name) == [address], what=f"{name} to find the guest")
        backend.apply({**foreign, "metadata": {**foreign["metadata"], "namespace": "labels-neighbour"}})
        eventually(
            lambda: _published(backend, "foreign", namespace="labels-neighbour") == "NoMachine",
            what="a neighbour's Service to say that it finds nobody",
        )
        assert backend.kubectl("get", "endpointslices", "-n", "labels-neighbour", "-o", "name") == ""
        backend.kubectl("label", "vs", "backend", "app-")
        eventually(lambda: found("by-label") == [], what="the label that was taken off to count no more")
        assert found("by-name") == [address]
    finally:
        backend.kubectl("delete", "namespace", "labels-neighbour", "--wait=false")
        backend.delete("service", *selectors)


def test_fault_39_a_load_balancer_that_matches_no_machine_says_so(backend: Product) -> None:
    backend.apply(_service("nobodys", annotations={}, selector={"app": "typo"}))
    try:
        eventually(lambda: _published(backend, "nobodys") == "NoMachine", what="the condition")
        of_it = ("get", "events", "--field-selector=involvedObject.name=nobodys,reason=NoMachine", "-o", "name")
        eventually(lambda: backend.kubectl(*of_it), what="the Event")
        assert "app=typo" in backend.kubectl(*of_it[:-1], "jsonpath={.items[0].message}")
        backend.kubectl("label", "vs", "backend", "app=typo")
        eventually(lambda: _published(backend, "nobodys") == "", what="the condition to go")
    finally:
        backend.kubectl("label", "vs", "backend", "app-")
        backend.delete("service", "nobodys")


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
