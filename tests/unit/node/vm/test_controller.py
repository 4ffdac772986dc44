"""What the node writes of a VirtualMachine that somebody starts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.node.overseer import Overseer
from virtualserver.node.queues import Queues
from virtualserver.node.vm.controller import VmController
from virtualserver.node.watches import WATCHES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.kube.objects import Manifest, Resource

KEY = "ns", "one"


class Node:
    """What the controller works with, which keeps the first patch."""

    def __init__(self) -> None:
        self.patched: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self.cache, self.queues = Cache(cast("Any", None), WATCHES), Queues()
        this, overseer = cast("Any", self), Overseer(self.cache, cast("Any", self), cast("Any", None))
        self.controller = VmController(this, self.cache, this, self.queues, overseer)

    async def patch(self, resource: Resource, live: Manifest, patch: Mapping[str, Any]) -> Manifest:
        assert resource is kinds.VIRTUAL_MACHINE
        if not self.patched.done():
            self.patched.set_result(patch)
        return live


@pytest.mark.parametrize("spec", [{"runStrategy": "Halted"}, {"running": False}])
async def test_a_start_of_a_halted_machine_leaves_it_one_strategy(spec: dict[str, Any]) -> None:
    """It had `running: false` beside `runStrategy: Always` then, which nobody may write."""
    node = Node()
    vm: dict[str, Any] = {
        "kind": kinds.VIRTUAL_MACHINE.kind,
        "metadata": {"name": "one", "namespace": "ns", "uid": "vm-1", "resourceVersion": "7"},
        "spec": {**spec, "template": {"spec": {}}},
        "status": {"stateChangeRequests": [{"action": "Start"}]},
    }
    node.cache.remember(kinds.VIRTUAL_MACHINE, vm)
    node.queues.vms.add(KEY)
    work = asyncio.create_task(node.controller.run())
    try:
        patch = await asyncio.wait_for(node.patched, 10)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    assert patch == {"metadata": {"resourceVersion": "7"}, "spec": {"runStrategy": "Always", "running": None}}
