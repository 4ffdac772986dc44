"""Writes ``newc`` archives, the format of Linux' initial RAM disks, without root and the same bytes each time.

Several archives may follow one another in one initrd; later files replace earlier ones. Source: Linux,
``Documentation/driver-api/early-userspace/buffer-format.rst``.
"""

from __future__ import annotations

import dataclasses
import gzip
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Member", "archive", "directory", "file", "link"]


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One file, folder or symbolic link, owned by root.

    Attributes:
        mode: Type and permissions, as in ``st_mode``.
        content: What the file holds, or where the link points.
    """

    mode: int
    content: bytes = b""


def file(content: bytes | str, *, mode: int = 0o644) -> Member:
    """Return a regular file; text is written as UTF-8."""
    return Member(stat.S_IFREG | mode, content.encode() if isinstance(content, str) else content)


def directory(mode: int = 0o755) -> Member:
    """Return a folder."""
    return Member(stat.S_IFDIR | mode)


def link(target: str) -> Member:
    """Return a symbolic link."""
    return Member(stat.S_IFLNK | 0o777, target.encode())


def archive(members: Mapping[str, Member]) -> bytes:
    """Pack members into one compressed archive, padded so that another may follow.

    Args:
        members: By path, without a leading slash. Parent folders that are not named are added.

    Returns:
        A gzip member whose bytes depend on the members only.
    """
    everything = dict.fromkeys(_parents(members), directory()) | dict(members)
    body = bytearray()
    for number, (path, member) in enumerate(sorted(everything.items()), start=1):
        body += _record(number, path, member)
    body += _record(0, "TRAILER!!!", Member(0))
    packed = gzip.compress(bytes(body), compresslevel=6, mtime=0)
    return packed + bytes(-len(packed) % 4)


def _parents(paths: Iterable[str]) -> set[str]:
    """Return every folder above the paths."""
    return {path[:end] for path in paths for end in range(len(path)) if path[end] == "/"}


def _record(number: int, path: str, member: Member) -> bytes:
    """Return one header, name and content, each padded to 4 bytes."""
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(member.mode) else 1
    numbers = (number, member.mode, 0, 0, links, 0, len(member.content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08x" % value for value in numbers) + name
    return head + bytes(-len(head) % 4) + member.content + bytes(-len(member.content) % 4)
