"""The TCP ports of an installation: free ones are chosen once and remembered, so that kubeconfigs stay valid."""

from __future__ import annotations

import dataclasses
import errno
import socket
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.installation.errors import InstallationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from virtualserver.installation.installation import Installation

__all__ = ["NAMES", "Holder", "choose", "faults", "holder", "is_free", "recorded"]

NAMES: Final = ("etcd", "etcd-peer", "kube-apiserver", "kube-controller-manager", "console")
"""The listeners of an installation, as they are named in its record under ``ports``."""

# Below the ports that the kernel gives to outgoing connections (32768 and up unless configured otherwise): a port
# that is remembered must not be taken by somebody's connection while the installation is down.
_PLACE: Final = range(20000, 32000)


@dataclasses.dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens on a port.

    Attributes:
        pid: Its PID.
        command: The name of its program, as ``ps`` shows it.
    """

    pid: int
    command: str


def choose(names: Iterable[str], *, is_free: Callable[[int], bool], start: int) -> dict[str, int]:
    """Choose one free port for each name, all different.

    Args:
        names: What the ports are for.
        is_free: Tells whether nobody listens on a port.
        start: Any number: where to begin to look, so that installations that do not know of each other differ.

    Raises:
        InstallationError: Too few ports are free.
    """
    candidates = (_PLACE[(start + number) % len(_PLACE)] for number in range(len(_PLACE)))
    free = filter(is_free, candidates)
    chosen = dict(zip(names, free, strict=False))
    if missing := set(names) - set(chosen):
        raise InstallationError(
            f"no free TCP port between {_PLACE.start} and {_PLACE.stop - 1} for {', '.join(sorted(missing))}: "
            "end some of the programs that listen there (`ss -ltnp` lists them)"
        )
    return chosen


def recorded(installation: Installation) -> dict[str, int]:
    """Return the installation's ports by name, chosen and recorded where missing; the caller holds its lock."""
    known = installation.record().ports
    missing = [name for name in NAMES if name not in known]
    if not missing:
        return known
    start = zlib.crc32(str(installation.state).encode())
    chosen = choose(missing, is_free=lambda port: port not in known.values() and is_free(port), start=start)
    with installation.changing() as record:
        record.ports = known | chosen
    return record.ports


def is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Return whether a program could listen on the port of that address now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Go does: closed connections do not count
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise InstallationError(
                f"cannot listen on {address} port {port}: {error.strerror}; "
                "choose an address of this machine, and a port that its settings permit"
            ) from None
    return True


def holder(port: int) -> Holder | None:
    """Return who listens on a port, or None where that is nobody or cannot be seen (another user's namespace)."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return None
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) in sockets:
                process = descriptor.parent.parent
                return Holder(int(process.name), (process / "comm").read_text().strip())
        except OSError:
            continue  # the process or its descriptor has just gone, or is not ours to see
    return None


def faults(
    ports: Mapping[str, int],
    *,
    address: str,
    own: Collection[int],
    record: Path,
    listen: str = "",
    is_free: Callable[[int, str], bool] = is_free,
) -> list[str]:
    """Return one sentence for every port that another program holds, ``[]`` where all are ours or free.

    Args:
        ports: By name.
        address: The address that kube-apiserver listens on; all else listens on 127.0.0.1.
        own: PIDs of this installation's running processes.
        record: The installation's record, named in the remedy.
        listen: An address of this machine on which kube-apiserver's port is listened on too; ``""``: none.
        is_free: Tells whether a port of an address is free.
    """
    found: list[str] = []
    listeners = [(name, port, address if name == "kube-apiserver" else "127.0.0.1") for name, port in ports.items()]
    if listen:
        listeners.append(("kube-apiserver", ports["kube-apiserver"], listen))
    for name, port, at in listeners:
        try:
            if is_free(port, at):
                continue
        except InstallationError:
            if at != listen:
                raise
            continue  # the address is not there now, so nobody listens on it
        by = holder(port)
        if by and by.pid in own:
            continue
        who = f"{by.command} (PID {by.pid})" if by else "a process that cannot be seen from here"
        remedy = f"end PID {by.pid}" if by else f"find it with `ss -ltnp sport = :{port}` and end it"
        found.append(
            f"TCP port {port}, remembered for {name}, is in use by {who}: {remedy}, "
            f'or remove "{name}" from "ports" in {record} so that another port is chosen'
        )
    return found


def _inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        path = Path(table)
        if not path.exists():
            continue
        for line in path.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:  # 0A: listening
                yield fields[9]
