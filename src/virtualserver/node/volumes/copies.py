"""Copies of disks, which take as long as the disks are large: made one after the other, beside all other work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from virtualserver.node.volumes.data_volume import waits_for
from virtualserver.storage.disks import DiskError

if TYPE_CHECKING:
    from virtualserver.kube.objects import Key
    from virtualserver.node.queues import Queues
    from virtualserver.node.volumes.sources import Source
    from virtualserver.node.waits import Wait
    from virtualserver.storage.disks import DiskStore

__all__ = ["Copies"]


class Copies:
    """Copies that go on, by the identifier of the new disk."""

    def __init__(self, disks: DiskStore, queues: Queues) -> None:
        """Name where disks are made.

        Args:
            disks: Where disks lie.
            queues: A DataVolume's key is added to its own one when its copy has ended, whichever way.
        """
        self._disks = disks
        self._queues = queues
        self._going_on: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._failed: dict[str, DiskError] = {}
        # Of two that are made at once, each would count the room that the other takes.
        self._turn = asyncio.Lock()

    def reads(self, disk: str) -> bool:
        """Return whether a disk is being copied, or about to be: no machine may write to it."""
        return any(source == disk for source, _ in self._going_on.values())

    def make(self, key: Key, identifier: str, source: Source, size_bytes: int) -> Wait:
        """Begin a copy, unless it goes on, and return what its DataVolume waits for.

        Args:
            key: Of the DataVolume.
            identifier: Of the new disk.
            source: What is copied; it has a disk.
            size_bytes: Of the copy.

        Raises:
            DiskError: The last try failed; the next call tries again.
        """
        if error := self._failed.pop(identifier, None):
            raise error
        if identifier not in self._going_on and source.disk is not None:
            work = self._copy(key, identifier, source.disk, source, size_bytes)
            self._going_on[identifier] = source.disk, asyncio.create_task(work, name=f"copy {'/'.join(key)}")
        return waits_for("CloneInProgress", "spec.source.pvc: the disk is being copied")

    async def _copy(self, key: Key, identifier: str, disk: str, source: Source, size_bytes: int) -> None:
        try:
            async with self._turn:
                await self._disks.copy(identifier, source=disk, base=source.base, size_bytes=size_bytes)
        except DiskError as error:
            self._failed[identifier] = error
        finally:
            del self._going_on[identifier]
            self._queues.volumes.add(key)
