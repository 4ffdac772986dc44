"""Debian's packages, and the kernel in one of them, without installing anything.

The packages come through the machine's own apt: its sources, keys and proxies, and no others.
"""

from __future__ import annotations

import asyncio
import lzma
import re
import shutil
import struct
from typing import TYPE_CHECKING, Final

from virtualserver.storage import builds
from virtualserver.storage.builds import ImageBuildError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from virtualserver.host.progress import Update

__all__ = [
    "PROGRAMS",
    "download",
    "kernel_package",
    "ordered_modules",
    "package_hash",
    "payload_of",
    "unpack_kernel",
    "unpacked",
]

PROGRAMS: Final = {"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg", "lz4": "lz4"}
"""The programs that are used here, and Debian's packages that have them."""


async def kernel_package(settings: Iterable[str] = ()) -> str:
    """Return the package behind the name that always means the newest cloud kernel.

    Args:
        settings: Of apt, ``NAME=VALUE``, where other package lists are read than this machine's.
    """
    text = (
        await builds.run(
            ["apt-cache", *_options(settings), "depends", "linux-image-cloud-amd64"], step="looking up the kernel"
        )
    ).decode()
    found = re.search(r"Depends: (linux-image-[0-9]\S*)", text)
    if not found:
        raise ImageBuildError(
            "the machine's apt sources have no linux-image-cloud-amd64; run `apt-get update` and try again"
        )
    return found[1]


async def package_hash(package: str) -> str:
    """Return the SHA-256 by which the machine's apt lists know a package."""
    text = (
        await builds.run(["apt-cache", "show", "--no-all-versions", package], step=f"looking up {package}")
    ).decode()
    found = re.search(r"^SHA256: ([0-9a-f]{64})$", text, re.MULTILINE)
    if not found:
        raise ImageBuildError(f"the machine's apt sources have no {package}; run `apt-get update` and try again")
    return found[1]


async def download(folder: Path, packages: list[str], progress: Update, *, settings: Iterable[str] = ()) -> None:
    """Download packages with the machine's own apt and unpack them into ``folder/root``; nothing is installed.

    Args:
        folder: Ours alone.
        packages: Their names.
        progress: Told each step.
        settings: Of apt, ``NAME=VALUE``, where other package lists are read than this machine's.
    """
    # The folder is ours alone, so apt's own download user could not write there.
    options = _options(["APT::Sandbox::User=root", *settings])
    for number, package in enumerate(packages):
        progress(f"downloading {package}", number / len(packages))
        await builds.run(["apt-get", "-q", *options, "download", package], step=f"downloading {package}", cwd=folder)
        progress(f"unpacking {package}", (number + 0.5) / len(packages))
        archive = await asyncio.to_thread(_archive, folder, package)
        await builds.run(["dpkg-deb", "--extract", str(archive), str(folder / "root")], step=f"unpacking {package}")


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


async def unpack_kernel(folder: Path, target: Path) -> None:
    """Write the uncompressed kernel; the packed one where it cannot be taken apart (it boots as well, but slower)."""
    source = next((folder / "root/boot").glob("vmlinuz-*"))
    payload = payload_of(source.read_bytes())
    if payload is None:
        shutil.copyfile(source, target)
        return
    packed = folder / "payload.lz4"
    packed.write_bytes(payload)
    await builds.run(["lz4", "-q", "-d", "-f", str(packed), str(target)], step="unpacking the kernel")


def ordered_modules(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Return kernel modules and all that they depend on by their files' names, each after what it needs, unpacked.

    Args:
        folder: The modules' folder of one kernel; searched at all depths.
        names: Modules; names that have no file are taken to be built into the kernel.
    """
    files = {path.name.partition(".ko")[0].replace("-", "_"): path for path in sorted(folder.rglob("*.ko*"))}
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        path = files.pop(name.replace("-", "_"), None)
        if path is None:
            return
        content = path.read_bytes()
        if path.suffix == ".xz":
            content = lzma.decompress(content)
        found = re.search(rb"\0depends=([^\0]*)\0", content)
        for needed in filter(None, found[1].decode().split(",") if found else []):
            add(needed)
        ordered[path.name.removesuffix(".xz")] = content

    for name in names:
        add(name)
    return ordered


def unpacked(folder: Path, name: str) -> Path:
    """Return a file that `download` unpacked: Debian 13's packages say ``/usr/bin`` and ``/usr/lib``, older ones not.

    Args:
        folder: The one that was given to `download`.
        name: ``bin/…`` or ``lib/…``.
    """
    merged = folder / "root/usr" / name
    return merged if merged.exists() else folder / "root" / name


def _options(settings: Iterable[str]) -> list[str]:
    """Return settings as apt's programs take them."""
    return [word for setting in settings for word in ("-o", setting)]


def _archive(folder: Path, package: str) -> Path:
    """Return a package's downloaded file."""
    return next(folder.glob(f"{package}_*.deb"))
