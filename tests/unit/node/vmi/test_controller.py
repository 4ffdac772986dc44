"""What a VMI says when its guest cannot be started."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.kube.conditions import condition_of
from virtualserver.machines.hypervisor import HypervisorError
from virtualserver.machines.seed import SeedError
from virtualserver.node.held import Held
from virtualserver.node.overseer import Overseer
from virtualserver.node.queues import Queues
from virtualserver.node.vmi.controller import VmiController
from virtualserver.node.watches import WATCHES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.kube.objects import Manifest, Resource

KEY = "ns", "one"


class Node:
    """All that the controller works with, in which one thing fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.cleaned: list[str] = []
        self.told = asyncio.Event()
        self.cache, self.queues = Cache(cast("Any", None), WATCHES), Queues()
        this, overseer = cast("Any", self), Overseer(self.cache, cast("Any", self), cast("Any", None))
        self.controller = VmiController(
            self.cache, this, self.queues, Held(self.queues), this, this, this, this, this, overseer, node="node"
        )

    async def prepare(self, vmi: Manifest) -> object:
        raise self.error

    async def clean(self, uid: str, *, is_over: bool) -> None:
        assert not is_over, "what runs unseen goes on"
        self.cleaned.append(uid)

    def forget(self, uid: str) -> None:
        """Say nothing of its health any more."""

    async def write_status(self, resource: Resource, live: Manifest, status: Mapping[str, Any]) -> Manifest:
        version = str(int(live["metadata"]["resourceVersion"]) + 1)
        written = {**live, "metadata": {**live["metadata"], "resourceVersion": version}, "status": status}
        self.told.set()
        return self.cache.remember(resource, written)

    async def looked_at(self, vmi: Manifest) -> Manifest:
        """Return a VMI once the controller has written its status."""
        self.cache.remember(kinds.VIRTUAL_MACHINE_INSTANCE, vmi)
        self.queues.vmis.add(KEY)
        work = asyncio.create_task(self.controller.run())
        try:
            await asyncio.wait_for(self.told.wait(), 10)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        return self.cache.get(kinds.VIRTUAL_MACHINE_INSTANCE, KEY) or {}


def a_vmi() -> Manifest:
    return {"metadata": {"namespace": "ns", "name": "one", "uid": "u", "resourceVersion": "7"}, "spec": {}}


@pytest.mark.parametrize("error", [HypervisorError("QEMU did not start"), SeedError("xorriso is not on PATH")])
async def test_what_keeps_a_guest_from_starting_is_said_in_its_words_and_is_no_fault_of_ours(error: Exception) -> None:
    node = Node(error)
    vmi = await node.looked_at(a_vmi())
    said = condition_of(vmi, "Synchronized") or {}
    assert (said["reason"], said["message"]) == ("LaunchFailed", str(error))
    assert node.cleaned == ["u"]
