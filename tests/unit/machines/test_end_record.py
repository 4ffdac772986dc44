"""How a machine ended, as it is written down and told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from virtualserver.host.process import Process
from virtualserver.machines.end_record import EndRecord, last_lines
from virtualserver.machines.ends import Ended, EndReason
from virtualserver.machines.files import Files

if TYPE_CHECKING:
    from pathlib import Path


def test_a_log_is_quoted_by_its_end(tmp_path: Path) -> None:
    log = tmp_path / "qemu.log"
    assert last_lines(log) == ""
    log.write_text("\n".join(str(number) for number in range(10)) + "\n")
    assert last_lines(log, count=2) == "8; 9"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(machine=tmp_path / "machine", run=tmp_path / "run")
    made.machine.mkdir()
    made.run.mkdir()
    return made


def test_the_first_cause_is_the_cause(files: Files) -> None:
    record = EndRecord(files)
    record.write(EndReason.GUEST_SHUTDOWN, "the guest powered off")
    record.write(EndReason.CRASH, "QEMU died unexpectedly")
    assert record.read(None) == Ended(EndReason.GUEST_SHUTDOWN, "the guest powered off")


def test_an_end_that_nobody_saw_is_judged_from_what_it_left(files: Files) -> None:
    record, process = EndRecord(files), Process.of(os.getpid())
    assert record.read(None) == Ended(EndReason.CRASH, "the start was interrupted before QEMU ran")
    assert record.read(process) == Ended(EndReason.QUIT, "QEMU was ended")
    files.pid.touch()
    files.log.write_text("out of memory\n")
    assert record.read(process) == Ended(EndReason.CRASH, "QEMU died unexpectedly: out of memory")
    files.dismissed.touch()
    assert record.read(process).reason is EndReason.DISMISSED
