"""Paths of the host in words that others read: pure."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["pattern_of", "without_folders"]

_HOSTS: Final = ("/var/lib", "/run", "/sys", "/proc")
"""Folders of any host that QEMU, qemu-img and the kernel name in what they complain of."""


def pattern_of(folders: Iterable[PurePath]) -> re.Pattern[str]:
    """Return what finds the paths of these folders, and of every host's own, for `without_folders`."""
    either = "|".join(map(re.escape, (*map(str, folders), *_HOSTS)))
    return re.compile(rf"(?<![\w/.-])(?:{either})(?:/[^\s'\",;:()]*|(?![\w/.-]))")


def without_folders(text: str, pattern: re.Pattern[str]) -> str:
    """Return a text that names files without the folders in which they lie.

    A user of a namespace reads it: which file it is may help; where the host keeps it is none of a tenant's matters.
    """
    return pattern.sub(lambda found: PurePath(found[0]).name, text)
