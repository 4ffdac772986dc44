"""What is told of a machine without its QEMU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.machines.machine import last_lines

if TYPE_CHECKING:
    from pathlib import Path


def test_a_log_is_quoted_by_its_end(tmp_path: Path) -> None:
    log = tmp_path / "qemu.log"
    assert last_lines(log) == ""
    log.write_text("\n".join(str(number) for number in range(10)) + "\n")
    assert last_lines(log, count=2) == "8; 9"
