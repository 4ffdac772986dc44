"""What qemu-img is told, and what is said where it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtualserver.storage import qemu_img
from virtualserver.storage.qemu_img import QemuImgError


def test_a_disk_starts_empty_or_from_a_base_whose_format_is_said() -> None:
    disk, base = Path("/d.qcow2"), Path("/b")
    assert qemu_img.create(disk, size_bytes=1024)[-2:] == ["/d.qcow2", "1024"]
    assert qemu_img.create(disk, base=base, base_format="raw")[-5:] == ["-F", "raw", "-b", "/b", "/d.qcow2"]


def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QemuImgError, match=r"qemu-img is not on PATH: install it with .* qemu-utils") as failure:
        qemu_img.run(qemu_img.resize(Path("/d.qcow2"), 1024))
    assert failure.value.missing == "qemu-img"
