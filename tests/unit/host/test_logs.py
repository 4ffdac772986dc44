"""Logs are bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.host import logs

if TYPE_CHECKING:
    from pathlib import Path


def test_a_large_log_is_moved_while_its_writer_keeps_it_open(tmp_path: Path) -> None:
    path = tmp_path / "etcd.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 10)
        logs.bound(path, limit=30)
        writer.write(b"new\n")
    assert path.read_bytes() == b"new\n"
    assert (tmp_path / "etcd.log.1").read_bytes() == (b"old\n" * 10)[-30:]


def test_a_small_log_stays(tmp_path: Path) -> None:
    path = tmp_path / "etcd.log"
    path.write_bytes(b"few\n")
    logs.bound(path, limit=30)
    assert path.read_bytes() == b"few\n"
    logs.bound(tmp_path / "none.log")


def test_of_a_log_that_grew_at_once_the_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "qemu.log"
    path.write_bytes(b"first\n" * 1000 + b"last\n")
    logs.bound(path, limit=11)
    assert path.read_bytes() == b""
    kept = tmp_path / "qemu.log.1"
    assert kept.read_bytes() == b"first\nlast\n"
    assert kept.stat().st_mode & 0o077 == 0, "what a tenant's guest said is nobody else's"
