"""The cgroups of machines, outside of ours, where cgroup v2 can be written."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

__all__ = ["cgroup_root", "leave_group"]


def cgroup_root() -> Path | None:
    """Return where cgroup v2 is mounted, None where it is not, or where we may not write."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(folder, os.W_OK):
            return Path(folder)
    return None


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
