"""A namespace of the installation's name that is not its own: its state folder was lost, or there are two of a name.

A namespace bears the installation's name, the link by which it hangs on the host its identifier, which lies in
the state folder. Where these do not fit together, somebody else made the namespace; whether he is still there shows by
who lives in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired.names import namespace_of
from virtualserver.fabric.kernel.attachment import INNER
from virtualserver.fabric.kernel.namespace import apart
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink
from virtualserver.host.process import borrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from virtualserver.fabric.kernel.namespace import Namespace

__all__ = ["NamespaceTaken", "Orphan", "find", "refusal"]

_TUNGETDEVNETNS: Final = 0x54E3


class NamespaceTaken(Exception):
    """Somebody else uses the namespace of our name; the message says who and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Orphan:
    """A namespace that another identifier's installation made.

    Attributes:
        device: The host's end of its veth pair.
        users: The command lines, by PID, of the processes that are in it or hold a tap of it.
    """

    device: str
    users: Mapping[int, str]

    def users_elsewhere(self, run: Path) -> dict[int, str]:
        """Return the users that do not name the run folder: those of an installation in another state folder."""
        return {pid: line for pid, line in self.users.items() if str(run) not in line}


async def find(namespace: Namespace, device: str) -> Orphan | None:
    """Look whether a namespace of our name is somebody else's.

    Args:
        namespace: The installation's.
        device: The host's end of the installation's veth pair.

    Returns:
        None where there is no such namespace, or it hangs on no link, or on ours.
    """
    if not namespace.exists():
        return None
    peer = await namespace.visit(_peer)
    other = await apart(lambda: _name_of(peer))
    return Orphan(other, dict(_users(namespace))) if other not in ("", device) else None


def refusal(installation: str, run: Path, orphan: Orphan) -> str:
    """Say in one line who has the installation's name, and the one command that helps; pure.

    Args:
        installation: The installation's name.
        run: The installation's run folder.
        orphan: What has the name.
    """
    elsewhere = orphan.users_elsewhere(run)
    shown = elsewhere or orphan.users
    processes = ", ".join(f"{pid} ({Path(line.split(' ')[0]).name})" for pid, line in sorted(shown.items())[:3])
    name = namespace_of(installation)
    begin = f"network namespace {name} hangs on link {orphan.device}, which this state folder knows nothing of"
    if elsewhere:
        return (
            f"{begin}: an instance of the same name, in another state folder, uses it (PID {processes}); "
            f"choose another name: VS_INSTANCE=NAME vs up"
        )
    return (
        f"{begin}: the state folder of its instance was lost while its processes go on (PID {processes}); "
        f"end them: vs down"
    )


def _peer() -> int:
    """Return the index of the host's link on which the namespace hangs, 0 where it hangs on none; called inside."""
    with Rtnetlink() as kernel:
        return next((link.peer or 0 for link in kernel.links() if link.name == INNER), 0)


def _name_of(index: int) -> str:
    """Return the name of the host's link of an index, ``""`` where there is none."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""


def _users(namespace: Namespace) -> Iterator[tuple[int, str]]:
    """Yield PID and command line of each process that is in the namespace or holds a tap of it."""
    wanted = namespace.path.stat()
    for folder in Path("/proc").glob("[0-9]*"):
        # It may end at any moment, or be a part of the kernel.
        with contextlib.suppress(OSError):
            pid = int(folder.name)
            there = (folder / "ns/net").stat()
            same = (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino)
            if same or any(number == wanted.st_ino for number in _namespaces_of_taps(folder, pid)):
                yield pid, (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()


def _namespaces_of_taps(folder: Path, pid: int) -> Iterator[int]:
    """Yield the inode of the namespace of each tap that a process holds, for which its descriptor is borrowed."""
    held = [int(link.name) for link in (folder / "fd").iterdir() if _target(link) == "/dev/net/tun"]
    if not held:
        return
    with contextlib.ExitStack() as stack:
        process = os.pidfd_open(pid)
        stack.callback(os.close, process)
        for number in held:
            with contextlib.suppress(OSError):  # closed meanwhile, or attached to no device
                borrowed = borrow(process, number)
                stack.callback(os.close, borrowed)
                namespace = fcntl.ioctl(borrowed, _TUNGETDEVNETNS)
                stack.callback(os.close, namespace)
                yield os.fstat(namespace).st_ino


def _target(link: Path) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(link)
    return ""
