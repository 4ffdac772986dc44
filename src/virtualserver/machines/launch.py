"""A machine as QEMU's command line. Pure: nothing here touches the host.

Source: QEMU 7.2 manual; what was measured about its sandbox and its ends is told in ``docs/guests.md``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from virtualserver.machines.spec import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.machines.files import Files
    from virtualserver.machines.spec import MachineSpec

__all__ = ["environment", "qemu_arguments", "wrapped"]

SOCKET_PATH_LIMIT: Final = 107
"""Bytes that the path of a unix socket may have. Source: unix(7)."""

UEFI_CODE: Final = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
"""The UEFI firmware of Debian's package ovmf; the machine's variables are a copy of its neighbour."""

UEFI_VARIABLES: Final = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
"""The template of a machine's UEFI variables."""

_APART: Final = '"$@" &'
"""Runs as root where the next process is the first of new namespaces; what it starts has no parent but the host's."""

_WRAPPER: Final = """\
ulimit -c 0
umask 077
[ -z "$1" ] || echo 0 >"$1/cgroup.procs"
read -r it </proc/self/stat || exit 1
{ cat /proc/sys/kernel/random/boot_id && echo "$it"; } >"$2.new" && mv "$2.new" "$2" || exit 1
umount -l /run/netns/* 2>/dev/null
mount -t proc -o nosuid,nodev,noexec proc /proc 2>/dev/null
shift 2
exec "$@"
"""
"""Runs as root in the process that becomes QEMU: no memory dumps, own cgroup, and its PID on disk before it is QEMU.

The /proc of whoever launches knows it by that one's number: here it is number 1. Then it gets a /proc in which nobody
else is; a container may refuse that, and the machine starts all the same. Other network namespaces must not live as
long as the machine for being mounted here too.
"""


def qemu_arguments(
    spec: MachineSpec, files: Files, *, emulator: str, taps: Sequence[int], paused: bool = False
) -> list[str]:
    """Return QEMU's argument vector.

    Args:
        spec: The machine.
        files: Where its files lie.
        emulator: QEMU's program.
        taps: The open tap of each NIC, in the order of `MachineSpec.nics`.
        paused: True where the guest's processors stand still until they are let go.

    Raises:
        SpecError: The run folder's name is too long for a unix socket.
    """
    if len(str(files.console).encode()) > SOCKET_PATH_LIMIT:
        raise SpecError(
            f"{files.console}: longer than the {SOCKET_PATH_LIMIT} bytes of a unix socket's name: "
            "choose a shorter folder with VS_STATE"
        )
    return [
        emulator,
        *("-name", f"guest={spec.name},debug-threads=on"),
        *("-nodefaults", "-no-user-config", "-no-shutdown", "-display", "none"),
        *(("-S",) if paused else ()),
        *_board(spec, files),
        *("-pidfile", str(files.pid)),
        *("-chardev", f"socket,id=qmp,path={files.qmp},server=on,wait=off", "-mon", "chardev=qmp,mode=control"),
        *("-chardev", _console(files), "-serial", "chardev:console"),
        *("-vga", "std", "-vnc", f"unix:{files.vnc}"),
        *("-object", "rng-builtin,id=rng0", "-device", _device(spec, "rng", rng="rng0")),
        *_disks(spec, files),
        *_nics(spec, taps),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
    ]


def _console(files: Files) -> str:
    """Return the serial port's host side: a socket for one client, and a file to whose end all of it goes."""
    log = _escaped(str(files.console_log))
    return f"socket,id=console,path={files.console},server=on,wait=off,logfile={log},logappend=on"


_TRANSLATED: Final = "max,svm=off,min-xlevel=0x80000008"
"""The processor without KVM. No nested virtualisation: guests would load their own KVM for nothing. Without it, QEMU's
CPUID ends before the leaf that tells the addresses' sizes, unless it is told to have it: a Debian 13 mounts nothing."""


def _board(spec: MachineSpec, files: Files) -> list[str]:
    """Return the arguments for board, processors, memory, firmware and kernel."""
    accelerator, cpu = ("kvm", "host") if spec.accelerator == "kvm" else ("tcg,thread=multi,tb-size=512", _TRANSLATED)
    arguments = ["-machine", "q35", "-accel", accelerator, "-cpu", cpu]
    arguments += ["-smp", str(spec.cpus), "-m", f"size={spec.memory_bytes // 1024}k"]
    if spec.uuid is not None:
        arguments += ["-uuid", spec.uuid]
    if spec.serial is not None:
        arguments += ["-smbios", f"type=1,serial={_escaped(spec.serial)}"]
    if spec.uefi:
        arguments += _blockdev("uefi-code", UEFI_CODE, "raw", read_only=True)
        arguments += _blockdev("uefi-variables", files.uefi_variables, "raw")
        arguments += ["-machine", "pflash0=uefi-code,pflash1=uefi-variables"]
    if spec.kernel is not None:
        arguments += ["-kernel", str(spec.kernel.image), "-append", spec.kernel.command_line]
        if spec.kernel.initrd is not None:
            arguments += ["-initrd", str(spec.kernel.initrd)]
    return arguments


def _disks(spec: MachineSpec, files: Files) -> list[str]:
    """Return the arguments for the disks and the seed."""
    arguments: list[str] = []
    for number, disk in enumerate(spec.disks):
        node = f"disk{number}"
        path, kind = (files.overlay(disk), "qcow2") if disk.ephemeral else (disk.path, disk.format)
        arguments += _blockdev(node, path, kind, read_only=disk.read_only)
        options: dict[str, str] = {"drive": node, "id": f"virtio-{node}", "bootindex": str(number + 1)}
        if disk.serial is not None:
            options["serial"] = disk.serial
        arguments += ["-device", _device(spec, "blk", **options)]
    if spec.seed is not None:
        arguments += _blockdev("seed", spec.seed, "raw", read_only=True)
        arguments += ["-device", _device(spec, "blk", drive="seed", id="virtio-seed")]
    return arguments


def _nics(spec: MachineSpec, taps: Sequence[int]) -> list[str]:
    """Return the arguments for the network cards."""
    arguments: list[str] = []
    for number, (nic, tap) in enumerate(zip(spec.nics, taps, strict=True)):
        arguments += ["-netdev", f"tap,id=net{number},fd={tap}"]
        # An empty romfile: no boot from the network, whose firmware would cost time at each start.
        options = {"netdev": f"net{number}", "id": f"nic{number}", "mac": nic.mac, "romfile": ""}
        if nic.mtu is not None:
            options["host_mtu"] = str(nic.mtu)
        arguments += ["-device", _device(spec, "net", **options)]
    return arguments


def _blockdev(node: str, path: Path, kind: str, *, read_only: bool = False) -> list[str]:
    """Return the arguments for the host's side of a disk."""
    file = {"driver": "file", "filename": str(path)}
    options: dict[str, Any] = {"driver": kind, "node-name": node, "read-only": read_only, "file": file}
    if not read_only:
        options["discard"] = "unmap"
    return ["-blockdev", json.dumps(options)]


def _device(spec: MachineSpec, kind: str, **options: str) -> str:
    """Return the guest's side of a virtio device."""
    model = f"virtio-{kind}-pci-{'transitional' if spec.virtio_transitional else 'non-transitional'}"
    return ",".join([model, *(f"{key}={_escaped(value)}" for key, value in options.items())])


def _escaped(value: str) -> str:
    """Return a value for one of QEMU's comma-separated options."""
    return value.replace(",", ",,")


def wrapped(
    arguments: Sequence[str], *, process: Path, group: Path | None, user: int, supplementary: int | None
) -> list[str]:
    """Return QEMU's argument vector behind what takes away its rights, one process from first to last.

    Its own session and parent (so that it outlives us), its own cgroup, namespaces of its own for mounts, processes,
    interprocess communication and network (an empty one), the machine's user, no capability and no way to gain one.

    Args:
        arguments: QEMU's argument vector.
        process: Where the process writes its boot and PID.
        group: The cgroup's folder; None where there are no writable cgroups.
        user: UID and GID.
        supplementary: One more GID, that of ``/dev/kvm``; None: none.
    """
    more = ["--clear-groups"] if supplementary is None else ["--groups", str(supplementary)]
    return [
        *("setsid", "--fork", "unshare", "--mount", "--propagation", "slave", "--pid", "--ipc", "--net"),
        *("sh", "-c", _APART, "vs-machine", "setsid"),
        *("sh", "-c", _WRAPPER, "vs-machine", str(group or ""), str(process)),
        *("setpriv", "--reuid", str(user), "--regid", str(user), *more),
        *("--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"),
        *arguments,
    ]


def environment(parent: Mapping[str, str]) -> dict[str, str]:
    """Return what QEMU may know of our environment: where programs are, nothing else."""
    return {"PATH": parent.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C.UTF-8"}
