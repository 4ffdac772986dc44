"""Disks whose DataVolume is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.node.held import Held
from virtualserver.node.overseer import Overseer
from virtualserver.node.queues import Queues
from virtualserver.node.volumes.controller import VolumeController
from virtualserver.node.watches import WATCHES
from virtualserver.storage.disks import DiskStore

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from virtualserver.kube.client import Client


def a_controller(folder: Path, *alive: str, open_disks: tuple[str, ...] = ()) -> VolumeController:
    cache, queues, unused = Cache(cast("Client", None), WATCHES), Queues(), cast("Any", None)
    for version, uid in enumerate(alive, start=1):
        metadata = {"namespace": "ns", "name": uid, "uid": uid, "resourceVersion": str(version)}
        cache.remember(kinds.DATA_VOLUME, {"metadata": metadata, "spec": {}})
    held = Held(queues)
    held.add_disks("vmi", dict.fromkeys(open_disks, True))
    overseer = Overseer(cache, unused, unused)
    return VolumeController(cache, unused, queues, held, unused, DiskStore(folder), overseer, unused)


async def test_a_disk_that_nobody_has_any_more_is_removed(tmp_path: Path) -> None:
    for name in ("alive", "open", "gone"):
        (tmp_path / f"{name}.qcow2").touch()
    assert a_controller(tmp_path, "alive", open_disks=("open",)).sweep()
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["alive", "open"]


async def test_a_disk_that_cannot_be_removed_keeps_no_other_and_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that the file system refused to remove ended the sweep: every disk after it stayed for ever."""
    for name in ("a", "c"):
        (tmp_path / f"{name}.qcow2").touch()
    stuck = tmp_path / "b.qcow2"
    stuck.mkdir()  # of root's, only what is no file is refused
    volumes = a_controller(tmp_path)
    assert not volumes.sweep()
    assert not volumes.sweep()
    assert [*tmp_path.iterdir()] == [stuck]
    assert len([line for line in caplog.messages if "cannot be removed" in line and "b.qcow2" in line]) == 1
    stuck.rmdir()
    assert volumes.sweep()
