"""Which process of the machine has a port, as far as it can be told without asking every process."""

from __future__ import annotations

import errno
import re
import socket
from typing import TYPE_CHECKING, Final

from virtualserver.host.commands import CommandError, run_here

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

__all__ = ["named_in", "occupant"]

_KINDS: Final = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}
_PROCESS: Final = re.compile(r'users:\(\("(?P<name>[^"]*)",pid=(?P<pid>\d+)')


def occupant(address: IPv4Address | IPv6Address, protocol: str, port: int) -> str:
    """Return which process of the machine has a port of an address, in words; ``""`` where none has it.

    The kernel is asked by taking the port for a moment, so that a listener on all addresses counts, and one on another
    address only, such as the loopback's, does not.

    Args:
        address: One of the machine's own; the calling thread is in the machine's network namespace.
        protocol: ``TCP`` or ``UDP``.
        port: 1..65535.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, _KINDS[protocol]) as taken:
        # What a connection of the past left for a minute is no listener; one that listens is refused all the same.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if protocol == "TCP" else 0)
        try:
            taken.bind((str(address), port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return ""  # it is no address of the machine any more: there is nothing to take
            return _named(protocol, port)
    return ""


def _named(protocol: str, port: int) -> str:
    try:
        told = run_here("ss", "-Hnlp", "-t" if protocol == "TCP" else "-u", "sport", "=", f":{port}")
    except CommandError:
        told = ""
    return named_in(told)


def named_in(told: str) -> str:
    """Return the first process that ``ss -Hnlp`` names, in words; pure."""
    found = _PROCESS.search(told)
    return f"process {found['name']} ({found['pid']}) of this machine" if found else "a process of this machine"
