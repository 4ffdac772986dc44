"""Which code of ours this is: its version, and what its files say.

A developer's version stays while the code changes; the processes of an installation are replaced all the same at the
next ``vs up``, and only then.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Final

import virtualserver

__all__ = ["digest", "version"]

_LENGTH: Final = 12


def digest(folder: Path) -> str:
    """Return a digest of a package's files and their names, without what Python makes of them."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix != ".pyc" and path.is_file():
            content = path.read_bytes()
            found.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return found.hexdigest()[:_LENGTH]


@functools.cache
def version() -> str:
    """Return our version with the digest of the files that this process runs, such as ``0.1.0+5d41402abc4b``.

    It is looked at once: what the files become later is not what this process runs.
    """
    return f"{virtualserver.__version__}+{digest(Path(virtualserver.__file__).parent)}"
