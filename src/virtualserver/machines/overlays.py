"""Overlays of ephemeral disks: what a guest writes to one goes into a file that its machine takes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.storage import qcow2, qemu_img
from virtualserver.storage.qemu_img import QemuImgError

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.machines.spec import Disk

__all__ = ["OverlayError", "make_overlay"]


class OverlayError(Exception):
    """An overlay cannot be made; the message says why."""


def make_overlay(overlay: Path, disk: Disk) -> None:
    """Make the overlay of a disk.

    Args:
        overlay: The new file.
        disk: What it lies over. A guest may have written to it before, so that nothing that it names is opened.

    Raises:
        OverlayError: The disk is not there or damaged, or the file system is full.
    """
    try:
        size = qcow2.read(disk.path).virtual_size if disk.format == "qcow2" else None
        qemu_img.run(qemu_img.create(overlay, size_bytes=size, base=disk.path, base_format=disk.format))
    except QemuImgError as error:
        raise OverlayError(error.complaint or str(error)) from None
    except (qcow2.Qcow2Error, OSError) as error:
        raise OverlayError(str(error)) from None
