"""What qemu-img is told, and what is said where it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtualserver.storage import qemu_img
from virtualserver.storage.qemu_img import QemuImgError


def test_a_disk_starts_empty_or_from_a_base_whose_format_is_said() -> None:
    disk, base = Path("/d.qcow2"), Path("/b")
    assert qemu_img.create(disk, size_bytes=1024)[-2:] == ["/d.qcow2", "1024"]
    assert "-u" in qemu_img.create(disk, size_bytes=1024, base=base), "the base is not opened"
    assert qemu_img.create(disk, base=base, base_format="raw")[-5:] == ["-F", "raw", "-b", "/b", "/d.qcow2"]


def test_a_share_is_the_last_one_that_was_said() -> None:
    assert qemu_img.share_of(b"    (5.00/100%)\r    (12.50/100%)\r    (20.") == 0.125
    assert qemu_img.share_of(b"") is None
    assert "-q" not in qemu_img.copy(Path("/a"), Path("/b"), base=Path("/c")), "it says nothing then"


def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QemuImgError, match=r"qemu-img is not on PATH: install it with .* qemu-utils") as failure:
        qemu_img.run(qemu_img.resize(Path("/d.qcow2"), 1024))
    assert failure.value.missing == "qemu-img"
    with pytest.raises(QemuImgError, match="qemu-img is not on PATH"):
        qemu_img.follow(qemu_img.convert(Path("/a"), Path("/b")), lambda _share: None)


def test_a_command_that_is_followed_says_its_shares_and_what_it_complains_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "qemu-img"
    program.write_text(
        "#!/bin/sh\nprintf '    (12.50/100%%)\\r'; sleep 0.1; printf '(50.00/100%%)\\r'; echo no >&2; exit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    shares: list[float] = []
    with pytest.raises(QemuImgError, match="qemu-img convert: no") as failure:
        qemu_img.follow(qemu_img.convert(Path("/a"), Path("/b")), shares.append)
    assert shares == [0.125, 0.5]
    assert (failure.value.status, failure.value.complaint) == (1, "no")
