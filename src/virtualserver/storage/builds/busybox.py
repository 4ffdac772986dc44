"""Makes the tiny image: Debian's cloud kernel and busybox in an initial RAM disk, with an empty root disk.

It boots in a few seconds even without KVM, with 96 MiB of memory: made for tests and first steps. The guest takes its
name from the NoCloud seed, its network from DHCP, serves a page on port 80, and powers off at the ACPI button. Nobody
can log in to it. Source: facts measured on Debian 12, ``docs/guests.md``.
"""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from virtualserver.storage import builds, qemu_img
from virtualserver.storage.builds import BuiltImage, cpio, kernel

if TYPE_CHECKING:
    from virtualserver.host.progress import Update

__all__ = ["COMMAND_LINE", "PROGRAMS", "build"]

COMMAND_LINE = "console=ttyS0 quiet panic=-1 no_timer_check tsc=reliable"
"""What the kernel is told: its messages go to the serial console; a panic resets the machine."""

_DISK_BYTES = 64 << 20
PROGRAMS = {**kernel.PROGRAMS, "qemu-img": "qemu-utils"}
"""What the build runs, and the Debian packages that have it."""
_MODULES = ("virtio_pci", "virtio_net", "virtio_blk", "button", "evdev", "isofs", "af_packet")
"""What the guest needs and Debian's cloud kernel does not have built in; a name that is built in is passed over."""

_INITTAB = """\
::sysinit:/etc/rc
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/sync
"""


async def build(workdir: Path, *, progress: Update) -> BuiltImage:
    """Build the image, or return the one that an earlier build left for the same packages and scripts.

    Args:
        workdir: Where finished builds are kept, a folder each; made if missing.
        progress: Told each step.

    Raises:
        ImageBuildError: A program or package is missing, or a step failed. Nothing half-built stays.
    """
    builds.require_programs(PROGRAMS)
    await asyncio.to_thread(workdir.mkdir, parents=True, exist_ok=True)
    progress("looking up Debian's kernel and busybox packages", None)
    kernel_package = await kernel.kernel_package()
    packages = {name: await kernel.package_hash(name) for name in (kernel_package, "busybox-static")}
    folder = workdir / _key(packages)
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=workdir, prefix=".building-") as name:
            temporary = Path(name)
            await kernel.download(temporary, list(packages), progress)
            finished = temporary / "finished"
            finished.mkdir(mode=0o755)
            progress("taking the kernel apart and packing the initial RAM disk", None)
            await kernel.unpack_kernel(temporary, finished / "kernel")
            initrd = await asyncio.to_thread(_initrd, temporary)
            (finished / "initrd").write_bytes(initrd)
            await builds.run(
                qemu_img.create(finished / "disk.qcow2", size_bytes=_DISK_BYTES),
                step="making the empty root disk",
            )
            finished.rename(folder)
    return BuiltImage(
        disk=folder / "disk.qcow2",
        kernel=folder / "kernel",
        initrd=folder / "initrd",
        command_line=COMMAND_LINE,
        name="busybox",
        description="Tiny Linux in memory: DHCP, a page on port 80, nobody can log in",
    )


def _key(packages: dict[str, str]) -> str:
    """Return a name for what comes out of these packages and of our own sources."""
    digest = hashlib.sha256()
    folder = resources.files(builds)
    for source in ("busybox.py", "cpio.py", "kernel.py", "busybox.rc", "busybox.udhcpc", "busybox.wget"):
        digest.update(folder.joinpath(source).read_bytes())
    for name, value in sorted(packages.items()):
        digest.update(f"{name} {value}\n".encode())
    return f"busybox-{digest.hexdigest()[:16]}"


def _initrd(folder: Path) -> bytes:
    """Pack busybox, its links, the scripts and the kernel modules."""
    program = kernel.unpacked(folder, "bin/busybox")
    scripts = resources.files(builds)
    entries = {
        "init": cpio.link("bin/busybox"),
        "bin/busybox": cpio.file(program.read_bytes(), mode=0o755),
        "etc/inittab": cpio.file(_INITTAB),
        "etc/rc": cpio.file(scripts.joinpath("busybox.rc").read_bytes(), mode=0o755),
        "etc/udhcpc": cpio.file(scripts.joinpath("busybox.udhcpc").read_bytes(), mode=0o755),
        "usr/bin/wget": cpio.file(scripts.joinpath("busybox.wget").read_bytes(), mode=0o755),
        "etc/acpi/PWRF/00000080": cpio.file("#!/bin/sh\npoweroff\n", mode=0o755),
        **{path: cpio.directory() for path in ("dev", "proc", "sys", "run", "seed", "www", "root", "mnt")},
        "tmp": cpio.directory(0o1777),
    }
    for applet in _applets(program):
        entries.setdefault(applet, cpio.link("/bin/busybox"))
    modules = kernel.ordered_modules(kernel.unpacked(folder, "lib/modules"), _MODULES)
    for name, content in modules.items():
        entries[f"lib/modules/{name}"] = cpio.file(content)
    entries["lib/modules/order"] = cpio.file("".join(f"{name}\n" for name in modules))
    return cpio.archive(entries)


def _applets(busybox: Path) -> list[str]:
    """Return the paths under which busybox's programs are known, as it says itself."""
    listed = subprocess.run([str(busybox), "--list-full"], check=True, capture_output=True, text=True)
    return [path for path in listed.stdout.split() if path != "bin/busybox"]
