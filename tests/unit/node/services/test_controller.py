"""Services that are taken over when the node starts, and those that the data plane does not carry."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.api import names
from virtualserver.fabric.desired.state import Ranges
from virtualserver.fabric.refusals import Refused
from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.node.allocation.addresses import Addresses
from virtualserver.node.allocation.allocations import Allocations
from virtualserver.node.held import Held
from virtualserver.node.overseer import Overseer
from virtualserver.node.queues import Queues
from virtualserver.node.services.controller import ServiceController
from virtualserver.node.watches import WATCHES
from virtualserver.plan import labels

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping
    from pathlib import Path

    from virtualserver.kube.objects import Manifest, Resource


class Node:
    """A node that knows some Services, and has no pool that is the machine's own address; its data plane refuses."""

    called_by_host = ()

    def __init__(self, allocations: Allocations, *services: Manifest) -> None:
        self.written: list[Mapping[str, Any]] = []
        self.told = asyncio.Event()
        self.refuses = True
        unused, this = cast("Any", None), cast("Any", self)
        self.cache, queues = Cache(unused, WATCHES), Queues()
        for service in services:
            self.cache.remember(kinds.SERVICE, service)
        ranges = Ranges(public={}, private={}, guest=(ipaddress.ip_network("10.42.0.0/29"),), service=(), link=())
        addresses, overseer = Addresses(allocations, ranges), Overseer(self.cache, unused, unused)
        self.services = ServiceController(
            self.cache, this, queues, Held(queues), addresses, this, overseer, unused, node="node"
        )
        self.queues = queues

    async def set_service(self, owner: str, rules: object) -> int:
        if self.refuses:
            raise Refused(self.why_left_out(owner))
        return 1

    def why_left_out(self, owner: str) -> str:
        return "the data plane cannot carry it: it is too large" if self.refuses else ""

    async def patch(self, resource: Resource, live: Manifest, patch: Mapping[str, Any], **_: str) -> None:
        assert resource is kinds.SERVICE
        self.written.append(patch["status"])
        self.told.set()


@pytest.fixture
def allocations(tmp_path: Path) -> Iterator[Allocations]:
    allocations = Allocations(tmp_path / "claims.sqlite")
    yield allocations
    allocations.close()


def a_service(name: str, **spec: Any) -> Manifest:
    metadata = {"namespace": "ns", "name": name, "uid": f"uid-{name}", "resourceVersion": "7"}
    return {
        "metadata": metadata,
        "spec": {"type": "ClusterIP", "clusterIPs": ["10.43.0.9"], "ports": [], "selector": {"app": name}, **spec},
    }


async def test_a_service_that_cannot_be_read_is_left_out_and_keeps_no_other_from_being_taken_over(
    allocations: Allocations, caplog: pytest.LogCaptureFixture
) -> None:
    """One ended each start of the node, for all."""
    odd = a_service("odd", clusterIPs=["nowhere"])
    node = Node(allocations, odd, a_service("web"))
    assert (await node.services.adopt()).keys() == {"uid-web"}
    assert "ns/odd: is left out of the data plane" in caplog.text


async def test_a_service_that_the_data_plane_refuses_says_so_itself(allocations: Allocations) -> None:
    """The log had it alone, and its VMI said for ever that its ports are being put in place."""
    namespace = {"metadata": {"name": "ns", "uid": "ns", "resourceVersion": "1"}}
    node = Node(allocations, a_service("web"))
    node.cache.remember(kinds.NAMESPACE, namespace)
    node.queues.services.add(("ns", "web"))
    work = asyncio.create_task(node.services.run())
    try:
        await asyncio.wait_for(node.told.wait(), 10)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    (condition,) = node.written[0]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        names.PORTS_PUBLISHED,
        "False",
        "RulesRefused",
    )
    assert condition["message"] == "the data plane cannot carry it: it is too large"


async def test_attack_a_tenants_services_times_its_machines_stop_no_node(
    allocations: Allocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2,000 Services that each select 600 machines took the loop for over 20 s, after which a node is started again."""
    node = Node(allocations, *(a_service(f"s{number}", selector={"app": "x"}) for number in range(20)))
    node.refuses = False
    machines = [a_machine(f"m{number}") for number in range(10)]
    for machine in machines:
        node.cache.remember(kinds.VIRTUAL_MACHINE_INSTANCE, machine)
    read: list[str] = []
    seen = labels.seen

    def counted(vmi: Manifest, vm: Manifest | None) -> dict[str, str]:
        read.append(vmi["metadata"]["name"])
        return seen(vmi, vm)

    monkeypatch.setattr(labels, "seen", counted)
    others = Turns()
    async with others.taken():
        await node.services.adopt()
        assert others.count >= 20
        assert len(read) == len(machines), "the labels of each are read once"
        read.clear()
        others.count = 0
        assert await node.services.missing_of(machines[0]) == ""
        assert others.count >= 20
        assert len(read) <= len(machines) + 1


def a_machine(name: str) -> Manifest:
    metadata = {"namespace": "ns", "name": name, "uid": f"uid-{name}", "resourceVersion": "7", "labels": {"app": "x"}}
    return {"kind": "VirtualMachineInstance", "metadata": metadata, "spec": {}}


class Turns:
    """Counts the turns that others get meanwhile."""

    def __init__(self) -> None:
        self.count = 0

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncGenerator[None]:
        task = asyncio.create_task(self._count())
        try:
            yield
        finally:
            task.cancel()

    async def _count(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)
