"""An address pool that is used up: who comes too late waits and says so, and goes on when an address is freed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from e2e.conftest import add_image
from e2e.manifests import a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from e2e.machine import Machine
    from e2e.product import Product

PORTS = {"public": True, "tcp": {"ports": [22]}}
ATTACHED = {"public": True, "directAttachLoadBalancerIP": True}


def _a_service(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"holder-{number}", "namespace": "default"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 1}]},
    }


def _public(product: Product) -> dict[str, Any]:
    return next(pool for pool in product.pools() if pool["name"] == "public")


def _taken(product: Product) -> set[str]:
    found = (product.get("vs", name)["status"]["network"]["externalIP"] for name in ("ports", "attached"))
    return {address for address in found if address}


def test_an_exhausted_pool_is_waited_for_and_said_and_a_freed_address_is_used(machine: Machine) -> None:
    product = machine.product("pools")
    product.vs("up", "--no-hello", "--public-pool", "192.0.2.64/29")
    add_image(product)
    size = int(_public(product)["size"])
    assert 1 < size <= 8
    product.apply(*(_a_service(number) for number in range(size)))
    eventually(lambda: _public(product)["inUse"] == size, what="the pool to be used up")

    product.apply(a_server("ports", network=PORTS))
    condition = product.wait_reason("ports", "PoolExhausted")
    assert condition["status"] == "False"
    assert "ports-tcp" in condition["message"] and "public" in condition["message"]
    assert f"{size} of {size} are in use; delete a server or Service" in condition["message"]
    product.apply(a_server("attached", network=ATTACHED))
    assert "attached-tcp" in product.wait_reason("attached", "PoolExhausted")["message"]
    # Never a fallback to the other pool.
    for name in ("ports", "attached"):
        assert product.get("vs", name)["status"]["network"]["externalIP"] == ""
    assert product.get("vmi", "attached").get("status", {}).get("phase") != "Running"

    freed: list[str] = []
    for holder in ("holder-0", "holder-1"):
        address = product.get("service", holder)["status"]["loadBalancer"]["ingress"][0]["ip"]
        product.delete("service", holder)
        freed.append(address)
        eventually(lambda: set(freed) == _taken(product), what=f"{address} to be taken", seconds=30)
    for name in ("ports", "attached"):
        address = product.wait_ready(name)["status"]["network"]["externalIP"]
        assert address in freed
        assert machine.client.probe("tcp", address, 22)["result"] == "open"
    product.vs("down", "--purge", "--yes")
