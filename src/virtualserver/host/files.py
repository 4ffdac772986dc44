"""Files that a reader, or a power cut, sees as they were or as they are, never in part."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

__all__ = ["make_folder", "write_atomically"]


def write_atomically(path: Path, content: bytes | str, *, mode: int = 0o600) -> None:
    """Replace a file so that a reader, or a power cut, sees the old content or the new, never a part.

    Args:
        path: The file to write; its folder exists.
        content: What the file will hold; text is written as UTF-8.
        mode: The permissions of the file, set before it gets its name.
    """
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_folder(path: Path, mode: int, *, group: int | None = None) -> None:
    """Make a folder, and what is missing above it, or give one that is there these permissions.

    Args:
        path: The folder.
        mode: Its permissions, whatever the umask; 0711 lets others reach what they know the name of, and list nothing.
        group: The GID that it is given to; None: it stays.
    """
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    status = path.stat()
    if group is not None and status.st_gid != group:
        os.chown(path, -1, group)
    if stat.S_IMODE(status.st_mode) != mode:
        path.chmod(mode)
