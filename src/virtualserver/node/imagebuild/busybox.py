"""Makes the tiny image: Debian's cloud kernel and busybox in an initial RAM disk, with an empty root disk.

It boots in a few seconds even without KVM, with 96 MiB of memory: made for tests and first steps. The guest takes its
name from the NoCloud seed, its network from DHCP, serves a page on port 80, and powers off at the ACPI button. Nobody
can log in to it. Source: facts measured on Debian 12, ``docs/guests.md``. Tests:
``tests/unit/node/imagebuild/test_busybox.py``, ``tests/integration/node/test_hypervisor.py``.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import struct
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

from virtualserver.node import imagebuild
from virtualserver.node.imagebuild import BuiltImage, ImageBuildError, Progress, cpio

__all__ = ["COMMAND_LINE", "build", "ordered_modules", "payload_of"]

COMMAND_LINE = "console=ttyS0 quiet panic=-1 no_timer_check tsc=reliable"
"""What the kernel is told: its messages go to the serial console; a panic resets the machine."""

_DISK_BYTES = 64 << 20
_PROGRAMS = {"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg", "lz4": "lz4", "qemu-img": "qemu-utils"}
_MODULES = ("virtio_pci", "virtio_net", "virtio_blk", "button", "evdev", "isofs", "af_packet")
"""What the guest needs and Debian's cloud kernel does not have built in; a name that is built in is passed over."""

_INITTAB = """\
::sysinit:/etc/rc
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/sync
"""


async def build(workdir: Path, *, progress: Progress) -> BuiltImage:
    """Build the image, or return the one that an earlier build left for the same packages and scripts.

    Args:
        workdir: Where finished builds are kept, a folder each; made if missing.
        progress: Told each step.

    Raises:
        ImageBuildError: A program or package is missing, or a step failed. Nothing half-built stays.
    """
    imagebuild.require_programs(_PROGRAMS)
    await asyncio.to_thread(workdir.mkdir, parents=True, exist_ok=True)
    progress("looking up Debian's kernel and busybox packages", None)
    kernel_package = await _kernel_package()
    packages = {name: await _package_hash(name) for name in (kernel_package, "busybox-static")}
    folder = workdir / _key(packages)
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=workdir, prefix=".building-") as name:
            temporary = Path(name)
            await _download(temporary, list(packages), progress)
            finished = temporary / "finished"
            finished.mkdir(mode=0o755)
            progress("taking the kernel apart and packing the initial RAM disk", None)
            await _kernel(temporary, finished / "kernel")
            initrd = await asyncio.to_thread(_initrd, temporary)
            (finished / "initrd").write_bytes(initrd)
            await imagebuild.run(
                ["qemu-img", "create", "-q", "-f", "qcow2", str(finished / "disk.qcow2"), str(_DISK_BYTES)],
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
    folder = resources.files(imagebuild)
    for source in ("busybox.py", "cpio.py", "busybox.rc", "busybox.udhcpc"):
        digest.update(folder.joinpath(source).read_bytes())
    for name, value in sorted(packages.items()):
        digest.update(f"{name} {value}\n".encode())
    return f"busybox-{digest.hexdigest()[:16]}"


async def _kernel_package() -> str:
    """Return the package behind the name that always means the newest cloud kernel."""
    text = (
        await imagebuild.run(["apt-cache", "depends", "linux-image-cloud-amd64"], step="looking up the kernel")
    ).decode()
    found = re.search(r"Depends: (linux-image-[0-9]\S*)", text)
    if not found:
        raise ImageBuildError(
            "the machine's apt sources have no linux-image-cloud-amd64; run `apt-get update` and try again"
        )
    return found[1]


async def _package_hash(package: str) -> str:
    """Return the SHA-256 by which the machine's apt lists know a package."""
    text = (
        await imagebuild.run(["apt-cache", "show", "--no-all-versions", package], step=f"looking up {package}")
    ).decode()
    found = re.search(r"^SHA256: ([0-9a-f]{64})$", text, re.MULTILINE)
    if not found:
        raise ImageBuildError(f"the machine's apt sources have no {package}; run `apt-get update` and try again")
    return found[1]


async def _download(folder: Path, packages: list[str], progress: Progress) -> None:
    """Download packages with the machine's own apt and unpack them into ``folder/root``; nothing is installed."""
    for number, package in enumerate(packages):
        progress(f"downloading {package}", number / len(packages))
        # The temporary folder is ours alone, so apt's own download user could not write there.
        await imagebuild.run(
            ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package],
            step=f"downloading {package}",
            cwd=folder,
        )
        progress(f"unpacking {package}", (number + 0.5) / len(packages))
        archive = await asyncio.to_thread(_archive, folder, package)
        await imagebuild.run(["dpkg-deb", "--extract", str(archive), str(folder / "root")], step=f"unpacking {package}")


def _archive(folder: Path, package: str) -> Path:
    """Return a package's downloaded file."""
    return next(folder.glob(f"{package}_*.deb"))


def payload_of(image: bytes) -> bytes | None:
    """Return the LZ4 stream of the kernel inside a bzImage; None where it is packed in another way.

    Booting the uncompressed kernel saves the guest more than a third of its start without KVM.

    Source: Linux, ``Documentation/arch/x86/boot.rst``, fields ``setup_sects``, ``payload_offset``, ``payload_length``.
    """
    if image[0x202:0x206] != b"HdrS":
        return None
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start : start + length]
    # The last four bytes are the unpacked size, which the LZ4 program would take for a broken block.
    return payload[:-4] if payload[:4] == b"\x02\x21\x4c\x18" else None


async def _kernel(folder: Path, target: Path) -> None:
    """Write the uncompressed kernel; the packed one where it cannot be taken apart (it boots as well, but slower)."""
    source = next((folder / "root/boot").glob("vmlinuz-*"))
    payload = payload_of(source.read_bytes())
    if payload is None:
        shutil.copyfile(source, target)
        return
    packed = folder / "payload.lz4"
    packed.write_bytes(payload)
    await imagebuild.run(["lz4", "-q", "-d", "-f", str(packed), str(target)], step="unpacking the kernel")


def ordered_modules(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Return kernel modules and all that they depend on, each after what it needs, without repeats.

    Args:
        folder: The modules' folder of one kernel; searched at all depths.
        names: Modules; names that have no file are taken to be built into the kernel.
    """
    files = {path.name.removesuffix(".ko").replace("-", "_"): path for path in sorted(folder.rglob("*.ko"))}
    ordered: list[Path] = []

    def add(name: str) -> None:
        path = files.get(name.replace("-", "_"))
        if path is None or path in ordered:
            return
        found = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
        for needed in filter(None, found[1].decode().split(",") if found else []):
            add(needed)
        ordered.append(path)

    for name in names:
        add(name)
    return ordered


def _initrd(folder: Path) -> bytes:
    """Pack busybox, its links, the scripts and the kernel modules."""
    busybox = (folder / "root/bin/busybox").read_bytes()
    scripts = resources.files(imagebuild)
    entries = {
        "init": cpio.link("bin/busybox"),
        "bin/busybox": cpio.file(busybox, mode=0o755),
        "etc/inittab": cpio.file(_INITTAB),
        "etc/rc": cpio.file(scripts.joinpath("busybox.rc").read_bytes(), mode=0o755),
        "etc/udhcpc": cpio.file(scripts.joinpath("busybox.udhcpc").read_bytes(), mode=0o755),
        "etc/acpi/PWRF/00000080": cpio.file("#!/bin/sh\npoweroff\n", mode=0o755),
        **{path: cpio.directory() for path in ("dev", "proc", "sys", "run", "seed", "www", "root", "mnt")},
        "tmp": cpio.directory(0o1777),
    }
    for applet in _applets(folder / "root/bin/busybox"):
        entries.setdefault(applet, cpio.link("/bin/busybox"))
    modules = ordered_modules(folder / "root/lib/modules", _MODULES)
    for module in modules:
        entries[f"lib/modules/{module.name}"] = cpio.file(module.read_bytes())
    entries["lib/modules/order"] = cpio.file("".join(f"{module.name}\n" for module in modules))
    return cpio.archive(entries)


def _applets(busybox: Path) -> list[str]:
    """Return the paths under which busybox's programs are known, as it says itself."""
    listed = subprocess.run([str(busybox), "--list-full"], check=True, capture_output=True, text=True)
    return [path for path in listed.stdout.split() if path != "bin/busybox"]
