"""Many full namespaces of one tenant beside one server of another, on operator and node as they run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

import yaml

from e2e.manifests import a_server
from virtualserver.kube import fields
from virtualserver.kube.client import Client
from virtualserver.kube.objects import key_of
from virtualserver.operator.kinds import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.product import Product
    from virtualserver.kube.objects import Key, Manifest

NAMESPACES = tuple(f"crowd-{number}" for number in range(12))
EACH = 4
PORTS = {"public": False, "tcp": {"ports": [22]}}


def _has_address(server: Manifest) -> bool:
    return bool(fields.mapping(server, "status", "network").get("externalIP"))


async def _before(product: Product, go: Callable[[], None]) -> int:
    """Return how many of the crowd's servers have an address before ``late`` has one, once it goes."""
    with_address: set[Key] = set()
    async with Client.from_kubeconfig(product.folder / "kubeconfig", user_agent="fairness") as client:
        begin = await client.snapshot(VIRTUAL_SERVER)
        of_crowd = [one for one in begin.items if one["metadata"]["namespace"] in NAMESPACES]
        assert len(of_crowd) == EACH * len(NAMESPACES)
        assert not any(map(_has_address, of_crowd)), "the operator stands still"
        go()
        watching = client.watch(
            VIRTUAL_SERVER, resource_version=begin.resource_version, timeout_seconds=120, read_seconds=120
        )
        async with contextlib.aclosing(watching) as events:
            async for event in events:
                if not _has_address(event.object):
                    continue
                key = key_of(event.object)
                if key == ("lone", "late"):
                    return len(with_address)
                if key[0] in NAMESPACES:
                    with_address.add(key)
    raise AssertionError(f"no address within two minutes; {len(with_address)} servers have one")


def test_attack_a_tenant_whose_namespaces_are_full_of_waiting_servers_holds_up_nobodys_address(
    product: Product,
) -> None:
    """The same is shown for passes that take long in ``tests/unit/kube/test_controller.py``, by virtual time."""
    made = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (*NAMESPACES, "lone")]
    crowd = [
        a_server(f"one-{number}", namespace=namespace, image="none", running=False, network=PORTS)
        for namespace in NAMESPACES
        for number in range(EACH)
    ]
    servers = [*crowd, a_server("late", namespace="lone", running=False, network=PORTS)]
    product.apply(*made)
    operator = product.process("operator")
    os.kill(operator, signal.SIGSTOP)
    try:
        # All of them are there when it looks, and the other tenant's comes last.
        try:
            product.apply(*servers)
            before = asyncio.run(_before(product, lambda: os.kill(operator, signal.SIGCONT)))
        finally:
            os.kill(operator, signal.SIGCONT)
        print(f"{before} of the crowd's {len(crowd)} servers had an address before")
        assert before <= len(crowd) * 3 / 4, "it did not wait for all of theirs, which came before"
    finally:
        # The namespaces stay, empty: the deletion of each takes a second of a processor.
        product.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=yaml.safe_dump_all(servers))
