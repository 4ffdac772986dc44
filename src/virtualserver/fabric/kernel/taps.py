"""Taps of the network namespace in which the calling thread is: made, opened for QEMU, and given back to it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING, Final, Protocol

from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.kernel.namespace import enter
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from virtualserver.fabric.kernel.links import Link

__all__ = ["MAC", "TapHolders", "add_tap", "attach", "fetch", "is_port", "is_whole", "open_tap", "remove_taps"]

MAC: Final = "ee:ee:ee:ee:ee:ee"
"""The gateway's hardware address: the same on every tap, so that a guest that knows it needs not ask a new tap."""

_SET_DEVICE: Final = 0x400454CA
_SET_PERSISTENT: Final = 0x400454CB
_SET_OWNER: Final = 0x400454CC
_TAP_WITHOUT_HEADER: Final = 0x0002 | 0x1000
_VNET_HEADER: Final = 0x4000
_GET_DEVICE: Final = 0x800454D2
_GET_NAMESPACE: Final = 0x54E3
_SET_HEADER_BYTES: Final = 0x400454D8
_HEADER_BYTES: Final = 12
"""Of a virtio-net header since version 1 of the standard, and before it with mergeable buffers, as guests ask for."""


class TapHolders(Protocol):
    """The machines, as the data plane sees them: processes that have taps open."""

    def cut_off(self) -> Iterable[str]:
        """Return the taps that a process still has open although somebody deleted them."""
        ...

    def borrow_tap(self, device: str) -> int:
        """Return a descriptor of the file by which a process has a tap open; the caller closes it.

        Raises:
            OSError: There is none, or it cannot be had.
        """
        ...


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


def attach(descriptor: int, device: str) -> None:
    """Attach an open file whose tap was deleted to the new one of this name: whoever has it open goes on.

    That the guest takes segments uncut, and without checksums, was told to the old tap. QEMU says what was negotiated,
    but not what the guest asked for since, so the new one cuts and checksums for it: that costs time and is always
    right. The guest's driver tells it again when it starts.

    Raises:
        OSError: There is no such tap, or the file is attached already.
    """
    socket.if_nametoindex(device)
    fcntl.ioctl(descriptor, _SET_DEVICE, _request(device))
    fcntl.ioctl(descriptor, _SET_HEADER_BYTES, struct.pack("=i", _HEADER_BYTES))


def fetch(descriptor: int, device: str, namespace: Path) -> bool:
    """Bring the tap that an open file is attached to into a namespace, and return whether it was in another.

    Somebody moved it, or deleted the name of the namespace that it is in. Called from a thread of its own, which ends
    in that other namespace.

    Args:
        descriptor: The open file.
        device: What the tap is to be called.
        namespace: The file that stands for the namespace.

    Raises:
        OSError: The kernel refused it.
        KernelError: Likewise.
    """
    try:
        there = fcntl.ioctl(descriptor, _GET_NAMESPACE)
    except OSError:  # attached to none
        return False
    try:
        if os.fstat(there).st_ino == namespace.stat().st_ino:
            return False
        name = fcntl.ioctl(descriptor, _GET_DEVICE, bytes(40))[:16].rstrip(b"\0").decode()
        enter(there)
    finally:
        os.close(there)
    with Rtnetlink() as kernel:
        kernel.move(name, namespace, device)
    return True


def is_whole(link: Link, mtu: int) -> bool:
    """Return whether the tap of a cluster NIC is as it was made, its addresses and settings aside."""
    return link.is_up and link.is_free and (link.mac, link.mtu) == (MAC, mtu)


def is_port(link: Link) -> bool:
    """Return whether a tap is the port of a bridge as it was made, its MTU aside."""
    return link.is_up and link.mac == MAC and link.is_locked


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
        fcntl.ioctl(descriptor, _SET_DEVICE, _request(device))
        yield descriptor
    finally:
        os.close(descriptor)


def _request(device: str) -> bytes:
    return struct.pack("16sH14x", device.encode(), _TAP_WITHOUT_HEADER | _VNET_HEADER)
