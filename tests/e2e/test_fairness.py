"""Many full namespaces of one tenant beside one server of another, on operator and node as they run."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import yaml

from e2e.manifests import a_server
from harness.waiting import eventually
from virtualserver.api.conditions import EPOCH

if TYPE_CHECKING:
    from e2e.product import Product

NAMESPACES = tuple(f"crowd-{number}" for number in range(12))
EACH = 8
PORTS = {"public": True, "tcp": {"ports": [22]}}


def _waiting(product: Product) -> int:
    """Return how many of the crowd's servers nobody has looked at."""
    servers = json.loads(product.kubectl("get", "vs", "--all-namespaces", "-o", "json"))["items"]
    crowd = [one for one in servers if one["metadata"]["namespace"] in NAMESPACES]
    assert len(crowd) == EACH * len(NAMESPACES)
    return sum(not _looked_at(one) for one in crowd)


def _looked_at(server: dict[str, Any]) -> bool:
    return any(one["lastTransitionTime"] != EPOCH for one in server.get("status", {}).get("conditions", []))


def test_attack_a_tenant_whose_namespaces_are_full_of_waiting_servers_holds_up_nobodys_address(
    product: Product,
) -> None:
    """The same is shown for passes that take long in ``tests/unit/kube/test_controller.py``, by virtual time."""
    made = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (*NAMESPACES, "lone")]
    crowd = [
        a_server(f"wait-{number}", namespace=namespace, image="none", running=False)
        for namespace in NAMESPACES
        for number in range(EACH)
    ]
    servers = [*crowd, a_server("late", namespace="lone", running=False, network=PORTS)]
    product.apply(*made)
    operator = product.process("operator")
    try:
        # All of them are there when it looks, and the other tenant's comes last.
        os.kill(operator, signal.SIGSTOP)
        try:
            product.apply(*servers)
        finally:
            os.kill(operator, signal.SIGCONT)
        began = time.monotonic()
        eventually(
            lambda: product.get("vs", "late", namespace="lone")["status"]["network"]["externalIP"],
            what="the address",
            pause=0.02,
        )
        took, waiting = time.monotonic() - began, _waiting(product)
        print(f"address after {took:.2f} s, {waiting} of the crowd's servers wait")
        # Half a second for each six namespaces whose turn comes before (adr/0026), and what an address takes.
        assert took <= 0.5 * (len(NAMESPACES) / 6 + 1) + 3
        assert waiting > len(crowd) / 4, "it did not wait for theirs, which came before"
    finally:
        # The namespaces stay, empty: the deletion of each takes a second of a processor.
        product.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=yaml.safe_dump_all(servers))
