"""Processes that cannot be mistaken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from virtualserver.host.process import Process, boot_id, borrow


def recorded(folder: Path, pid: int | str, *, boot: str | None = None) -> Path:
    path = folder / "process"
    path.write_text(f"{boot or boot_id()}\n{Path(f'/proc/{pid}/stat').read_text()}")
    return path


def test_a_living_process_is_found_by_its_record(tmp_path: Path) -> None:
    process = Process.read(recorded(tmp_path, os.getpid()))
    assert process is not None and process.pid == os.getpid()
    descriptor = process.descriptor()
    assert descriptor is not None
    os.close(descriptor)


def test_a_recycled_pid_is_not_taken_for_the_process(tmp_path: Path) -> None:
    process = Process.read(recorded(tmp_path, os.getpid()))
    assert process is not None
    assert Process(process.pid, process.started - 1, process.boot).descriptor() is None


def test_a_process_of_an_earlier_boot_is_gone(tmp_path: Path) -> None:
    process = Process.read(recorded(tmp_path, os.getpid(), boot="another"))
    assert process is not None
    assert not process.is_of_this_boot
    assert process.descriptor() is None


def test_a_process_that_ended_is_gone_even_as_a_zombie(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        process = Process.read(recorded(tmp_path, child.pid))
        assert process is not None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process.descriptor() is None
    assert process.descriptor() is None


def test_a_name_with_brackets_and_blanks_does_not_confuse(tmp_path: Path) -> None:
    path = tmp_path / "process"
    path.write_text("boot\n42 (a) b (c) S 1 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0\n")
    assert Process.read(path) == Process(42, 777, "boot")


@pytest.mark.parametrize("content", [None, "", "boot\n"])
def test_without_a_whole_record_there_is_no_process(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "process"
    if content is not None:
        path.write_text(content)
    assert Process.read(path) is None


def test_a_file_that_another_process_has_open_is_borrowed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("what it says")
    with path.open() as held, subprocess.Popen(("sleep", "60"), pass_fds=(held.fileno(),)) as holder:
        process = os.pidfd_open(holder.pid)
        try:
            descriptor = borrow(process, held.fileno())
            assert os.read(descriptor, 100) == b"what it says"
            os.close(descriptor)
            with pytest.raises(OSError, match="Bad file descriptor"):
                borrow(process, 999)
        finally:
            os.close(process)
            holder.kill()


def test_a_process_may_have_more_files_open_than_a_shell_gives_it() -> None:
    program = (
        "import resource, virtualserver.host.process as process\n"
        "process.allow_open_files(2048)\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    line = ["sh", "-c", 'ulimit -Sn 512; ulimit -Hn 4096; exec "$@"', "sh", sys.executable, "-c", program]
    told = subprocess.run(
        line, env={"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["2048", "4096"]
