"""How one sees that a component is ready, and that nobody else uses its database."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from virtualserver.controlplane import components, errors, rest

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.host.process import Process

__all__ = ["make", "refuse_second_user"]


def make(probe: components.UrlProbe | components.FileProbe, process: Process) -> Callable[[], bool]:
    """Return a blocking function that tells whether the process is ready."""
    if isinstance(probe, components.FileProbe):
        return lambda: _holds_pid(probe.path, process.pid)
    connection = rest.Rest(probe.url, authority=probe.authority, client=probe.client, timeout_seconds=5)

    def ask() -> bool:
        try:
            return connection.status(urlsplit(probe.url).path) == 200
        except OSError:
            return False

    return ask


def refuse_second_user(database: Path) -> None:
    """Raise unless nobody has the database open: a second etcd on one folder waits for ever instead of failing.

    Raises:
        ControlPlaneError: Another process holds its lock.
    """
    if not database.exists():
        return
    with database.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            inode = f":{os.fstat(file.fileno()).st_ino} "
            lines = Path("/proc/locks").read_text().splitlines()
            pids = sorted({line.split()[4] for line in lines if inode in line})
            raise errors.ControlPlaneError(
                f"{database} is in use by PID {', '.join(pids) or '(not visible from here)'}: "
                "another etcd runs on this state folder; end it, or choose another folder with VS_STATE"
            ) from None


def _holds_pid(path: Path, pid: int) -> bool:
    try:
        return path.read_text().strip() == str(pid)
    except (OSError, UnicodeDecodeError):
        return False
