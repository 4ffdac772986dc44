"""Reads kube-apiserver's audit log while it is being written."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["entries"]


def entries(folder: Path, *, about: str = "") -> Iterator[dict[str, Any]]:
    """Yield the entries, file by file; the last line of a file may be half written, and is left out.

    Args:
        folder: Where the log is, with what was rotated.
        about: Only entries in which this stands anywhere; ``""``: all.
    """
    for path in folder.glob("audit*"):
        content = path.read_bytes()
        lines, _, _ = (gzip.decompress(content) if path.suffix == ".gz" else content).rpartition(b"\n")
        for line in lines.splitlines():
            if about.encode() in line:
                yield msgspec.json.decode(line)
