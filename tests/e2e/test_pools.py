"""An address pool that is used up: who comes too late waits and says so, and goes on when an address is freed."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from e2e.conftest import add_image
from e2e.manifests import a_floating_service, a_server
from harness.pages import commands
from harness.waiting import eventually

if TYPE_CHECKING:
    from e2e.machine import Machine
    from e2e.product import Product

ON_UPLINK = ip_network("192.0.2.128/29")
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
    assert f"{size} of {size} are in use; take one from a server (the ports" in condition["message"]
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
    product.delete("service", *(f"holder-{number}" for number in range(2, size)))
    product.one_owner()
    _other_pools_later(machine, product)
    product.one_owner()
    product.vs("down", "--purge", "--yes")


def _on_the_page(heading: str) -> list[str]:
    """Return the arguments of ``vs up`` under a heading of docs/another-computer.md, with the words of this machine."""
    (block,) = commands("another-computer.md")[heading]
    line = block.replace("eth1", "uplink").replace("192.0.2.128/25", str(ON_UPLINK))
    return [*line.split()[1:], "--no-hello"]


def _other_pools_later(machine: Machine, product: Product) -> None:
    """Change the pool to one on the uplink, and then to the machine's own address; what is held stays and works."""
    former = _address(product, "ports")
    machine.client.run("ip", "address", "add", f"{ON_UPLINK[-2]}/32", "dev", "eth0")
    told = json.loads(product.vs(*_on_the_page("A part of the LAN"), "-o", "json"))
    machine.client.run("ip", "route", "add", str(ON_UPLINK), "dev", "eth0")
    assert {one["holder"] for one in told["staying"]} == {
        "VirtualServer default/ports",
        "VirtualServer default/attached",
    }
    assert machine.client.probe("tcp", former, 22)["result"] == "open"
    condition = _assigned(product, "ports-tcp")
    assert condition["reason"] == "FormerPool"
    (command,) = (one["command"] for one in told["staying"] if one["holder"].endswith("/ports"))
    assert f"service ports-tcp virtualservers.coreweave.com/leave-address={former}" in condition["message"]
    product.kubectl(*command.split()[1:])
    eventually(
        lambda: ip_address(_address(product, "ports") or "0.0.0.0") in ON_UPLINK, what="a new address", seconds=60
    )
    moved = product.wait_ready("ports")["status"]["network"]["externalIP"]
    assert ip_address(moved) in ON_UPLINK
    # On the link itself: the client asks by ARP who has it.
    assert machine.client.probe("tcp", moved, 22)["result"] == "open"
    assert machine.client.probe("tcp", former, 22)["result"] != "open"
    assert machine.client.probe("tcp", _address(product, "attached"), 22)["result"] == "open"
    taken = _a_service(99)
    taken["metadata"]["annotations"] = {"metallb.io/loadBalancerIPs": str(ON_UPLINK[-2])}
    product.apply(taken)
    eventually(lambda: _assigned(product, "holder-99").get("reason") == "AddressInUse", what="a refusal", seconds=60)
    assert " on link uplink: choose another" in _assigned(product, "holder-99")["message"]
    product.delete("service", "holder-99")

    product.delete("vs", "attached")
    product.vs(*_on_the_page("Ports on the machine's own address"))
    assert machine.client.probe("tcp", moved, 22)["result"] == "open", "it is held"
    product.apply(a_server("own", network={"public": True, "tcp": {"ports": [22]}}))
    product.apply(a_server("second", running=False, network={"public": True, "tcp": {"ports": [22]}}))
    product.apply(a_server("direct", running=False, network=ATTACHED))
    address = product.wait_ready("own", seconds=240)["status"]["network"]["externalIP"]
    assert address == machine.client.gateway, "the machine's own"
    assert machine.client.probe("tcp", address, 22)["result"] == "open"
    eventually(lambda: _assigned(product, "second-tcp").get("reason") == "PortInUse", what="a refusal", seconds=60)
    assert "VirtualServer default/own" in _assigned(product, "second-tcp")["message"]
    eventually(lambda: _assigned(product, "direct-tcp").get("reason") == "HostAddress", what="a refusal", seconds=60)
    product.apply(a_floating_service("lent"))
    eventually(lambda: _assigned(product, "lent").get("reason") == "HostAddress", what="a refusal", seconds=60)
    assert "neither attached nor floating" in _assigned(product, "lent")["message"]
    _the_machines_port_and_its_next_address(machine, product)


def _the_machines_port_and_its_next_address(machine: Machine, product: Product) -> None:
    """A port of a program of the machine's is refused; what is published follows the machine's address."""
    with machine.listening(2222):
        product.apply(a_server("second", running=False, network={"public": True, "tcp": {"ports": [2222]}}))
        eventually(
            lambda: "by a program of this machine" in _assigned(product, "second-tcp").get("message", ""),
            what="a refusal",
            seconds=60,
        )
    client, link, other = machine.client, "uplink", "100.98.1"
    client.run("ip", "address", "add", f"{other}.2/30", "dev", "eth0")
    machine.run("ip", "address", "add", f"{other}.1/30", "dev", link)
    machine.run("ip", "address", "del", f"{client.gateway}/30", "dev", link)
    machine.run("ip", "route", "replace", "default", "via", f"{other}.2")
    client.run("ip", "route", "replace", "default", "via", f"{other}.1")
    eventually(lambda: _address(product, "own") == f"{other}.1", what="the machine's next address", seconds=60)
    eventually(lambda: client.probe("tcp", f"{other}.1", 22)["result"] == "open", what="port 22 there", seconds=30)
    assert machine.calls(f"{other}.1", 22), "from the machine itself"


def _address(product: Product, name: str) -> str:
    return product.get("vs", name)["status"]["network"]["externalIP"]


def _assigned(product: Product, name: str) -> dict[str, Any]:
    conditions = product.get("service", name).get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"].endswith("/AddressAssigned")), dict[str, Any]())
