"""One `vs` at a time changes an installation."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from virtualserver.host import locks

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from virtualserver.host.progress import Update
    from virtualserver.installation.installation import Installation

__all__ = ["held", "if_free"]

_held: set[Path] = set()
"""The locks that this process holds."""


@contextlib.contextmanager
def held(installation: Installation, progress: Update | None = None) -> Generator[None]:
    """Hold the installation's lock; a process that holds it may do so again.

    The lock's file lies outside of the state folder and is removed with it.

    Args:
        installation: The installation.
        progress: Told whom we wait for.
    """
    path = installation.change_lock
    if path in _held:
        yield
        return
    installation.root.mkdir(mode=0o755, parents=True, exist_ok=True)

    def wait(pid: str) -> None:
        if progress:
            progress(f"another vs changes {installation.name} (PID {pid}): waiting until it has ended", None)

    with locks.hold(path, wait):
        _held.add(path)
        try:
            yield
        finally:
            _held.discard(path)
            if not installation.state.exists():
                path.unlink(missing_ok=True)  # nothing is left that it would protect


@contextlib.contextmanager
def if_free(installation: Installation) -> Generator[bool]:
    """Yield whether there is the installation, and no `vs` changes it; where so, none begins to in the context."""
    descriptor = locks.take(installation.change_lock) if installation.state.exists() else None
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)
