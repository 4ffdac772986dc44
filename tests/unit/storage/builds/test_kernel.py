"""Kernels taken apart, and modules put in order."""

from __future__ import annotations

import lzma
import struct
from typing import TYPE_CHECKING

from virtualserver.storage.builds import kernel

if TYPE_CHECKING:
    from pathlib import Path

LZ4 = b"\x02\x21\x4c\x18"


def a_kernel(payload: bytes, *, setup_sectors: int = 3) -> bytes:
    head = bytearray((setup_sectors + 1) * 512)
    head[0x1F1] = setup_sectors
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 16, len(payload))
    return bytes(head) + bytes(16) + payload + b"more"


def a_module(folder: Path, name: str, depends: str) -> None:
    (folder / f"{name}.ko").write_bytes(b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0name=x\0")


def test_the_packed_kernel_is_cut_out_without_its_size() -> None:
    assert kernel.payload_of(a_kernel(LZ4 + b"packed" + b"size")) == LZ4 + b"packed"


def test_another_packing_is_left_alone() -> None:
    assert kernel.payload_of(a_kernel(b"\x28\xb5\x2f\xfdpackedsize")) is None


def test_what_is_no_kernel_is_left_alone() -> None:
    assert kernel.payload_of(bytes(2048)) is None


def test_modules_come_after_what_they_need_once(tmp_path: Path) -> None:
    folder = tmp_path / "kernel"
    folder.mkdir()
    a_module(folder, "virtio_net", "net_failover,virtio")
    a_module(folder, "net-failover", "virtio")
    a_module(folder, "virtio", "")
    a_module(folder, "unwanted", "")
    found = kernel.ordered_modules(tmp_path, ("virtio_net", "virtio", "built_in"))
    assert list(found) == ["virtio.ko", "net-failover.ko", "virtio_net.ko"]


def test_packed_modules_are_unpacked(tmp_path: Path) -> None:
    """As those of Debian 13 are; the initial RAM disk's `insmod` takes no packed ones."""
    for name, depends in (("virtio_blk", "virtio"), ("virtio", "")):
        a_module(tmp_path, name, depends)
        path = tmp_path / f"{name}.ko"
        path.with_suffix(".ko.xz").write_bytes(lzma.compress(path.read_bytes()))
        path.unlink()
    found = kernel.ordered_modules(tmp_path, ("virtio_blk",))
    assert list(found) == ["virtio.ko", "virtio_blk.ko"]
    assert found["virtio.ko"].startswith(b"\x7fELF")


def test_files_of_unpacked_packages_are_found_whatever_the_release(tmp_path: Path) -> None:
    for folder in ("root/bin", "root/usr/lib/modules"):
        (tmp_path / folder).mkdir(parents=True)
    assert kernel.unpacked(tmp_path, "bin") == tmp_path / "root/bin"
    assert kernel.unpacked(tmp_path, "lib/modules") == tmp_path / "root/usr/lib/modules"
