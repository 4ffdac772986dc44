"""Processes that cannot be mistaken: a PID alone may belong to somebody else tomorrow.

Tests: ``tests/unit/node/test_process.py``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import select
from pathlib import Path

__all__ = ["Process", "boot_identifier", "leave_group"]


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be mistaken for a later one of the same PID.

    Attributes:
        boot: The kernel's name of this boot.
        pid: Its PID.
        start_ticks: When it started, in clock ticks since boot.
    """

    boot: str
    pid: int
    start_ticks: int

    @classmethod
    def read(cls, path: Path) -> Process | None:
        """Return the process that recorded itself in a file; None where there is no such record."""
        try:
            boot, stat = path.read_text().splitlines()[:2]
        except (FileNotFoundError, ValueError):
            return None
        return cls(boot, int(stat.split(" ", 1)[0]), _start_ticks(stat))

    @property
    def is_of_this_boot(self) -> bool:
        """Whether the host has not been started again since."""
        return self.boot == boot_identifier()

    def open(self) -> int | None:
        """Return a descriptor that stands for the process for ever; None where it has ended."""
        if not self.is_of_this_boot:
            return None
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        # Only now is it sure that the PID cannot change hands between the look and the use. And only the descriptor
        # says when all threads have ended: until then the process holds its files, though it may look like a zombie.
        try:
            same = _start_ticks(Path(f"/proc/{self.pid}/stat").read_text()) == self.start_ticks
        except (FileNotFoundError, ProcessLookupError):
            same = False
        if same and not select.select([descriptor], [], [], 0)[0]:
            return descriptor
        os.close(descriptor)
        return None


def _start_ticks(stat: str) -> int:
    """Return the start time from a line of ``/proc/PID/stat``; the name in it may hold anything."""
    return int(stat.rpartition(")")[2].split()[19])


def boot_identifier() -> str:
    """Return the kernel's name of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


async def leave_group(group: Path | None) -> None:
    """Remove the cgroup of a process that has ended, and the one above with the last of its kind.

    Args:
        group: The cgroup's folder; None: the process had none.
    """
    # The kernel needs a moment after the end of a process.
    for _ in range(20 if group is not None else 0):
        if _left(group):
            return
        await asyncio.sleep(0.02)


def _left(group: Path | None) -> bool:
    """Try to remove a cgroup and the one above; False: it is still in use."""
    try:
        if group is not None:
            group.rmdir()
            group.parent.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        # Not empty: other machines' groups are beside it.
        return error.errno == errno.ENOTEMPTY
    return True
