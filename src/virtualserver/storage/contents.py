"""What an image is added from, read once: copied, and digested for its name."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from virtualserver.host.progress import Update

__all__ = ["copy", "digest_of_raw"]

_CHUNK_BYTES: Final = 4 << 20
_BLOCK_BYTES: Final = 1 << 20
"""What of a raw disk is read at a time, and left out where it is zeros only."""


def digest_of_raw(source: Path, progress: Update) -> str:
    """Return a SHA-256 of where a raw disk has what: holes are not read, and blocks of zeros are as good as holes."""
    digest = hashlib.sha256()
    with source.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(b"%d" % size)
        for start in _blocks(file.fileno(), size):
            block = os.pread(file.fileno(), _BLOCK_BYTES, start)
            if block.count(0) < len(block):
                digest.update(b"@%d:" % start)
                digest.update(block)
            progress("reading the disk", min(1.0, (start + len(block)) / size))
    return digest.hexdigest()


def _blocks(descriptor: int, size: int) -> Iterator[int]:
    """Yield where the blocks of a file begin that are not holes only."""
    start = 0
    while start < size:
        try:
            data = os.lseek(descriptor, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole up to the end
            raise
        start = data - data % _BLOCK_BYTES
        yield start
        start += _BLOCK_BYTES


def copy(source: Path, target: Path, step: str, progress: Update) -> str:
    """Copy a file, and return its SHA-256."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        size = os.fstat(reader.fileno()).st_size or 1
        done = 0
        while chunk := reader.read(_CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
            done += len(chunk)
            progress(step, min(1.0, done / size))
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()
