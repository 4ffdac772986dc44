"""Netlink messages, taken apart by hand where pyroute2 does not ask for, or read, what is wanted.

Source: include/uapi/linux/netlink.h.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ask", "attribute", "attributes", "dump", "split"]

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_REQUEST: Final = 0x1
_REQUEST_DUMP: Final = 0x301
_DONE: Final = 3
_BUFFER: Final = 1 << 18


def split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield type, sender's port and the whole of each message that came at once."""
    while len(data) >= _HEADER.size:
        length, kind, _, _, port = _HEADER.unpack_from(data)
        yield kind, port, data[:length]
        data = data[max(length + -length % 4, _HEADER.size) :]


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each attribute."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[_ATTRIBUTE.size : length]
        data = data[length + -length % 4 :]


def attribute(kind: int, content: bytes) -> bytes:
    """Return an attribute as it is sent."""
    length = _ATTRIBUTE.size + len(content)
    return _ATTRIBUTE.pack(length, kind) + content + bytes(-length % 4)


def ask(kind: int, about: bytes) -> bytes:
    """Ask for one object in the calling thread's namespace, and return the body of the answer; empty: there is none.

    Args:
        kind: The request's type, such as ``RTM_GETLINK``.
        about: The rest of it: the fixed part of its body, and attributes.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.send(_HEADER.pack(_HEADER.size + len(about), kind, _REQUEST, 1, 0) + about)
        for answer, _, message in split(kernel.recv(_BUFFER)):
            return message[_HEADER.size :] if answer > _DONE else b""
    return b""


def dump(kind: int, about: bytes) -> Iterator[bytes]:
    """Ask for all objects of a kind in the calling thread's namespace, and yield the bodies of the answers.

    Args:
        kind: The request's type, such as ``RTM_GETLINK``.
        about: The fixed part of its body.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.send(_HEADER.pack(_HEADER.size + len(about), kind, _REQUEST_DUMP, 1, 0) + about)
        while True:
            for answer, _, message in split(kernel.recv(_BUFFER)):
                if answer <= _DONE:  # the end, or an error
                    return
                yield message[_HEADER.size :]
