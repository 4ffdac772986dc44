"""Taps of the network namespace in which the calling thread is: made, and opened for QEMU."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

if TYPE_CHECKING:
    from collections.abc import Generator


__all__ = ["add_tap", "open_tap", "remove_taps"]

_SET_DEVICE: Final = 0x400454CA
_SET_PERSISTENT: Final = 0x400454CB
_SET_OWNER: Final = 0x400454CC
_TAP_WITHOUT_HEADER: Final = 0x0002 | 0x1000
_VNET_HEADER: Final = 0x4000


def add_tap(device: str, user: int) -> None:
    """Make a tap that stays, which one user may open.

    Raises:
        KernelError: The kernel refused it.
    """
    try:
        with _attached(device) as descriptor:
            fcntl.ioctl(descriptor, _SET_OWNER, user)
            fcntl.ioctl(descriptor, _SET_PERSISTENT, 1)
    except OSError as error:
        raise KernelError(f"tap {device}: {error.strerror}") from error


def remove_taps() -> None:
    """Remove all taps."""
    with Rtnetlink() as kernel:
        for link in kernel.links():
            if link.kind == "tun":
                kernel.delete_link(link.name)


def open_tap(device: str) -> int:
    """Open a tap for QEMU and return its file descriptor (with ``vnet_hdr``), inheritable.

    Raises:
        OSError: There is no such tap, or another process has it open (EBUSY).
    """
    socket.if_nametoindex(device)  # or else a tap would be made that nobody recorded
    with _attached(device) as descriptor:
        kept = os.dup(descriptor)
    os.set_inheritable(kept, True)
    return kept


@contextlib.contextmanager
def _attached(device: str) -> Generator[int, None, None]:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(
            descriptor, _SET_DEVICE, struct.pack("16sH14x", device.encode(), _TAP_WITHOUT_HEADER | _VNET_HEADER)
        )
        yield descriptor
    finally:
        os.close(descriptor)
