"""The kernel that an image brings beside its disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path  # noqa: TC003 - msgspec reads the annotations of a description

__all__ = ["Kernel"]


@dataclasses.dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that is booted directly, without a boot loader.

    Attributes:
        image: bzImage, or an uncompressed kernel with a PVH entry.
        initrd: The initial RAM disk; None: none.
        command_line: What the kernel is told.
    """

    image: Path
    initrd: Path | None
    command_line: str
