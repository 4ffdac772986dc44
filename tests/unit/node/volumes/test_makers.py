"""Images whose maker is gone: the node says so, and touches nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.node.held import Held
from virtualserver.node.overseer import Overseer
from virtualserver.node.queues import Queues
from virtualserver.node.volumes.controller import VolumeController
from virtualserver.node.watches import WATCHES
from virtualserver.storage.disks import DiskStore
from virtualserver.storage.images import ImageStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource

KEY = "vd-images", "debian"


class Written:
    """A writer that remembers what is written of claims."""

    def __init__(self) -> None:
        self.statuses: list[Mapping[str, Any]] = []
        self.patches: list[Mapping[str, Any]] = []

    async def write_status(self, resource: Resource, _live: Manifest, status: Mapping[str, Any]) -> None:
        """Remember a status."""
        assert resource == kinds.PERSISTENT_VOLUME_CLAIM
        self.statuses.append(status)

    async def patch(self, resource: Resource, live: Manifest, patch: Mapping[str, Any]) -> Manifest:
        """Remember a patch."""
        assert resource == kinds.PERSISTENT_VOLUME_CLAIM
        self.patches.append(patch)
        return live


async def look(folder: Path, **annotations: str) -> tuple[Written, float | None]:
    """Have the node look at a claim, and return what it wrote, and when it looks again."""
    cache, queues, unused, written = Cache(cast("Client", None), WATCHES), Queues(), cast("Any", None), Written()
    marks = {f"{names.DOMAIN}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    metadata = {"namespace": KEY[0], "name": KEY[1], "uid": "u", "resourceVersion": "1", "annotations": marks}
    cache.remember(kinds.PERSISTENT_VOLUME_CLAIM, {"metadata": metadata, "spec": {}})
    volumes = VolumeController(
        cache,
        cast("Any", written),
        queues,
        Held(queues),
        ImageStore(folder / "images"),
        DiskStore(folder / "disks"),
        Overseer(cache, unused, unused),
        unused,
    )
    again = await volumes._reconcile(KEY)  # pyright: ignore[reportPrivateUsage]
    return written, again


async def test_an_image_whose_maker_lives_is_looked_at_again(tmp_path: Path) -> None:
    with ImageStore(tmp_path / "images").making("debian"):
        written, again = await look(tmp_path, image_progress="45% installing")
    assert (written.statuses, written.patches, again) == ([], [], 2.0)


async def test_an_image_whose_maker_is_gone_is_abandoned(tmp_path: Path) -> None:
    written, again = await look(tmp_path, image_progress="45% installing")
    ((told,),) = (status["conditions"] for status in written.statuses)
    assert (told["type"], told["status"], told["reason"]) == (names.IMAGE_MADE, "False", "Abandoned")
    assert written.patches == [{"metadata": {"annotations": {names.IMAGE_PROGRESS: names.IMAGE_ABANDONED}}}]
    assert again is None


async def test_an_image_that_is_there_is_only_not_made_anew_any_more(tmp_path: Path) -> None:
    written, again = await look(tmp_path, image="sha256:00", image_progress="45% installing")
    assert written.statuses == []
    assert written.patches == [{"metadata": {"annotations": {names.IMAGE_PROGRESS: None}}}]
    assert again is None


async def test_what_was_said_once_is_not_written_again(tmp_path: Path) -> None:
    written, again = await look(tmp_path, image_progress=names.IMAGE_ABANDONED)
    assert (written.statuses, written.patches, again) == ([], [], None)
