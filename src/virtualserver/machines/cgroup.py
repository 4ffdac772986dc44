"""The cgroups of machines, outside of ours, where cgroup v2 can be written."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from pathlib import Path

__all__ = ["cgroup_root", "group_of", "groups", "leave_group", "remove_empty"]


def cgroup_root() -> Path | None:
    """Return where cgroup v2 is mounted, None where it is not, or where we may not write."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(folder, os.W_OK):
            return Path(folder)
    return None


def group_of(installation: str, identifier: str) -> Path | None:
    """Return the folder of a machine's cgroup; None where there is no cgroup v2 that we may write."""
    whole = _whole(installation)
    return None if whole is None else whole / identifier


def groups(installation: str) -> list[Path]:
    """Return the cgroups of an installation that there are, whoever made them: the machines', then the one above."""
    whole = _whole(installation)
    if whole is None or not whole.is_dir():
        return []
    return [*sorted(entry for entry in whole.iterdir() if entry.is_dir()), whole]


def remove_empty(installation: str) -> None:
    """Remove the cgroups of an installation in which no process is."""
    for group in groups(installation):
        with contextlib.suppress(OSError):  # somebody is in it, or it has just gone
            group.rmdir()


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


def _whole(installation: str) -> Path | None:
    root = cgroup_root()
    return None if root is None else root / f"virtualserver-{installation}"


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
