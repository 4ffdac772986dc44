"""Copies of disks, which take as long as the disks are large: made one after the other, beside all other work.

Namespaces take turns, so that who asks for many copies holds up others by two of them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from virtualserver.kube.queue import Queue
from virtualserver.node.volumes.data_volume import waits_for
from virtualserver.node.waits import CLONE_IN_PROGRESS
from virtualserver.storage.disks import DiskError

if TYPE_CHECKING:
    from virtualserver.kube.objects import Key
    from virtualserver.node.queues import Queues
    from virtualserver.node.volumes.sources import Source
    from virtualserver.node.waits import Wait
    from virtualserver.storage.disks import DiskStore

__all__ = ["Copies"]

_TELL_SECONDS: Final = 2.0
"""How often a DataVolume is looked at at most because more of its copy is made: each look is a write."""


class Copies:
    """Copies that go on, by the identifier of the new disk."""

    def __init__(self, disks: DiskStore, queues: Queues) -> None:
        """Name where disks are made.

        Args:
            disks: Where disks lie.
            queues: A DataVolume's key is added to its own one while its copy goes on, and when it has ended, whichever
                way.
        """
        self._disks = disks
        self._queues = queues
        self._going_on: dict[str, tuple[Key, Source, int]] = {}
        self._shares: dict[str, float] = {}
        self._failed: dict[str, DiskError] = {}
        # Of two that are made at once, each would count the room that the other takes.
        self._turns: Queue[tuple[str, str]] = Queue()

    async def run(self) -> None:
        """Make what is asked for, until cancelled."""
        while True:
            turn = await self._turns.get()
            try:
                await self._copy(turn[1])
            finally:
                self._turns.done(turn)

    def reads(self, disk: str) -> bool:
        """Return whether a disk is being copied, or about to be: no machine may write to it."""
        return any(source.disk == disk for _, source, _ in self._going_on.values())

    def share(self, identifier: str) -> float | None:
        """Return how much of a new disk is copied, 0 to 1; None where its copy waits for its turn, or there is none."""
        return self._shares.get(identifier)

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
        if identifier not in self._going_on:
            self._going_on[identifier] = key, source, size_bytes
            self._turns.add((key[0], identifier))
        return waits_for(CLONE_IN_PROGRESS, "spec.source.pvc: the disk is being copied")

    async def _copy(self, identifier: str) -> None:
        key, source, size_bytes = self._going_on[identifier]
        assert source.disk is not None  # noqa: S101 - an image is not copied
        clock = asyncio.get_running_loop().time
        told = clock() - _TELL_SECONDS

        def progress(share: float) -> None:
            nonlocal told
            self._shares[identifier] = share
            if clock() - told >= _TELL_SECONDS:
                told = clock()
                self._queues.volumes.add(key)

        progress(0.0)
        try:
            await self._disks.copy(
                identifier, source=source.disk, base=source.base, size_bytes=size_bytes, progress=progress
            )
        except DiskError as error:
            self._failed[identifier] = error
        finally:
            del self._going_on[identifier], self._shares[identifier]
            self._queues.volumes.add(key)
