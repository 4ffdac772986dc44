"""Which taps a machine's process has open, as its command line and the kernel tell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from virtualserver.machines.spec import Nic

__all__ = ["deleted", "device_of", "numbers_of", "opened"]

_NETDEV: Final = re.compile(r"tap,id=net(\d+),fd=(\d+)")
_ATTACHED: Final = re.compile(r"^iff:[ \t]*(.*)$", re.MULTILINE)


def opened(pid: int, nics: Sequence[Nic]) -> dict[str, int]:
    """Return the number of the process's descriptor of each NIC's tap, by the tap's name; none where it has ended."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return {nics[nic].device: number for nic, number in numbers_of(arguments).items() if nic < len(nics)}


def deleted(pid: int, nics: Sequence[Nic]) -> list[str]:
    """Return the taps that the process still has open although somebody deleted them."""
    found: list[str] = []
    for device, number in opened(pid, nics).items():
        try:
            text = Path(f"/proc/{pid}/fdinfo/{number}").read_text()
        except OSError:  # it ends, or has just begun
            continue
        if device_of(text) == "":
            found.append(device)
    return found


def numbers_of(arguments: Sequence[str]) -> dict[int, int]:
    """Return QEMU's descriptor of each NIC's tap, by the NIC's place, from its argument vector; pure."""
    found = (_NETDEV.fullmatch(argument) for argument in arguments)
    return {int(match[1]): int(match[2]) for match in found if match}


def device_of(information: str) -> str | None:
    """Return the tap that a file is attached to, ``""`` for one that was deleted, from its ``fdinfo``; pure.

    None where the file is none of ``/dev/net/tun``. Source: the kernel's ``drivers/net/tun.c``, tun_chr_show_fdinfo.
    """
    match = _ATTACHED.search(information)
    return match and match[1].strip()
