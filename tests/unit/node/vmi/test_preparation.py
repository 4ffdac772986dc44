"""What a machine needs before it starts, and what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.kube.errors import NotFound
from virtualserver.machines.accelerator import Accelerator
from virtualserver.node.held import Held
from virtualserver.node.overseer import Overseer
from virtualserver.node.queues import Queues
from virtualserver.node.vmi.preparation import Preparation
from virtualserver.node.volumes.controller import VolumeController
from virtualserver.node.waits import Wait
from virtualserver.node.watches import WATCHES
from virtualserver.storage.disks import DiskStore

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.kube.objects import Manifest, Resource


async def an_accelerator() -> Accelerator:
    return Accelerator("tcg", "a test")


class Server:
    """An API server with some DataVolumes, and a node whose watch of them is late."""

    def __init__(self, folder: Path, *volumes: str, **status: Any) -> None:
        self.volumes = volumes
        self.status = status
        self.asked: list[str] = []
        unused = cast("Any", None)
        cache, queues = Cache(unused, WATCHES), Queues()
        held, disks, overseer = Held(queues), DiskStore(folder), Overseer(cache, unused, unused)
        controller = VolumeController(cache, unused, queues, held, unused, disks, overseer, unused)
        self.preparation = Preparation(
            cast("Any", self), cache, held, unused, controller, unused, unused, accelerator=an_accelerator
        )

    async def get(self, resource: Resource, name: str, *, namespace: str) -> Manifest:
        assert resource is kinds.DATA_VOLUME
        self.asked.append(name)
        if name not in self.volumes:
            raise NotFound(name, status=404)
        metadata = {"namespace": namespace, "name": name, "uid": name, "resourceVersion": "7"}
        return {"metadata": metadata, "spec": {}, "status": self.status}


def a_vmi(**status: Any) -> Manifest:
    devices = {"disks": [{"name": "root", "disk": {"bus": "virtio"}}]}
    volumes = [{"name": "root", "dataVolume": {"name": "one"}}]
    domain = {"cpu": {"cores": 1}, "memory": {"guest": "64Mi"}, "devices": devices}
    return {"metadata": {"name": "one", "namespace": "ns"}, "spec": {"domain": domain, "volumes": volumes}, **status}


async def test_a_volume_that_the_watch_has_not_brought_yet_is_no_missing_one(tmp_path: Path) -> None:
    """A machine that was made right after its DataVolume told its owner, by an Event, that the disk does not exist."""
    server = Server(tmp_path, "one")
    wait = await server.preparation.prepare(a_vmi())
    assert isinstance(wait, Wait) and wait.reason == "WaitingForVolumes"


@pytest.mark.parametrize(
    ("ready", "told"),
    [
        (None, ""),
        ({"status": "False", "reason": "CloneInProgress"}, ""),
        ({"status": "False", "reason": "ClaimRefused", "message": "exceeded quota: room"}, ": exceeded quota: room"),
    ],
)
async def test_a_machine_says_what_its_disk_waits_for(tmp_path: Path, ready: Any, told: str) -> None:
    """It said only that the DataVolume is not ready yet, for ever."""
    conditions = [{"type": "Ready", **ready}] if ready else []
    wait = await Server(tmp_path, "one", phase="Pending", conditions=conditions).preparation.prepare(a_vmi())
    assert wait == Wait("WaitingForVolumes", f"DataVolume ns/one is not ready yet{told}")


async def test_a_volume_that_is_missing_is_asked_for_until_that_is_told(tmp_path: Path) -> None:
    server = Server(tmp_path)
    wait = await server.preparation.prepare(a_vmi())
    assert isinstance(wait, Wait) and wait.reason == "ErrorPvcNotFound" and server.asked == ["one"]
    told = {"type": "Synchronized", "status": "False", "reason": wait.reason, "message": wait.message}
    again = await server.preparation.prepare(a_vmi(status={"conditions": [told]}))
    assert again == wait and server.asked == ["one"]


async def test_attack_a_machine_that_can_never_run_takes_nothing_that_others_need(tmp_path: Path) -> None:
    """4,080 of them had all user numbers; here nobody gives numbers, addresses or seeds."""
    spec = {"domain": {"memory": {"guest": "900Ti"}, "devices": {}}}
    vmi = {"metadata": {"name": "one", "namespace": "ns", "uid": "uid"}, "spec": spec}
    wait = await Server(tmp_path).preparation.prepare(vmi)
    assert isinstance(wait, Wait) and wait.reason == "MemoryExceedsMachine"
