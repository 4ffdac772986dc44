"""Room on the file system of the state: what the control plane needs, and which guests fill it.

Disks are thin: what they may grow to is more than there is. etcd ends for everybody where its file system is full, so
guests that write are stopped before, at a reserve that only the control plane may use.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Space", "allocated", "bound", "fillers", "is_short", "space_of"]

_GIB: Final = 1 << 30
_MIB: Final = 1 << 20
_LEAST_RESERVE: Final = 256 * _MIB
"""etcd's log grows in files of 64 MiB, kube-apiserver's audit log by 32 MiB; the rest is for snapshots and SQLite."""

_LARGEST_RESERVE: Final = _GIB
_RESERVE_SHARE: Final = 20
_ROOM_AGAIN: Final = 1.25
"""Guests go on where there is so many times the reserve, so that they are not stopped again at once."""

_ALL_SHARE: Final = 4
_GROWTH: Final = 64 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Space:
    """A file system.

    Attributes:
        total: Its size in bytes.
        free: What a process without privileges may still write, in bytes.
    """

    total: int
    free: int

    @property
    def reserve(self) -> int:
        """What guests leave to the control plane, in bytes: a twentieth, from 256 MiB to 1 GiB."""
        return min(max(self.total // _RESERVE_SHARE, _LEAST_RESERVE), _LARGEST_RESERVE)


def space_of(folder: Path) -> Space:
    """Return the file system that a folder is on."""
    told = os.statvfs(folder)
    return Space(told.f_blocks * told.f_frsize, told.f_bavail * told.f_frsize)


def allocated(file: Path) -> int:
    """Return the bytes that a file takes on its file system; 0 where it is not there."""
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def is_short(space: Space, *, was_short: bool) -> bool:
    """Return whether guests have to stop writing: pure.

    Args:
        space: The file system.
        was_short: What the last look said.
    """
    return space.free < space.reserve * (_ROOM_AGAIN if was_short else 1)


def fillers(space: Space, before: Mapping[str, int], now: Mapping[str, int]) -> set[str]:
    """Return who has to stop while there is too little room: pure.

    Those whose disks grew since the last look; all, once three quarters of the reserve are gone.

    Args:
        space: The file system.
        before: What each one's disks took at the last look, in bytes.
        now: What they take now.
    """
    if space.free < space.reserve // _ALL_SHARE:
        return set(now)
    return {one for one, size in now.items() if size - before.get(one, size) >= _GROWTH}


def bound(space: Space, *, overcommit: float) -> int:
    """Return what all disks may grow to together, in bytes: pure.

    Args:
        space: The file system that they are on.
        overcommit: How many times its size that is.
    """
    return int(space.total * overcommit)
