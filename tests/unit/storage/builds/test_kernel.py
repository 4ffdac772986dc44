"""Kernels taken apart, and modules put in order."""

from __future__ import annotations

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
    assert [path.name for path in found] == ["virtio.ko", "net-failover.ko", "virtio_net.ko"]
