"""A lock is one process's at a time, also across its removal."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from virtualserver.host import locks

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from virtualserver.host import locks
path = Path(sys.argv[1])
with locks.hold(path, lambda pid: None):
    print("held", flush=True)
    sys.stdin.readline()
    path.unlink()
"""


class Another(Exception):
    """Another process holds the lock."""


def refuse(pid: str) -> None:
    raise Another(pid)


@pytest.fixture
def another(tmp_path: Path) -> Generator[subprocess.Popen[str]]:
    """A process that holds the lock until it is told to go on; it removes the lock then."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process


def test_the_waiting_one_is_told_who_holds_it(tmp_path: Path, another: subprocess.Popen[str]) -> None:
    with pytest.raises(Another, match=f"^{another.pid}$"), locks.hold(tmp_path / "lock", refuse):
        pass


def test_a_lock_that_its_holder_removed_is_made_anew(tmp_path: Path, another: subprocess.Popen[str]) -> None:
    path = tmp_path / "lock"
    told: list[str] = []

    def end_it(pid: str) -> None:
        told.append(pid)
        another.communicate("\n")

    with locks.hold(path, end_it):
        assert told == [str(another.pid)]
        assert path.read_text() == str(os.getpid())
        with pytest.raises(Another), locks.hold(path, refuse):
            pass


def test_it_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with locks.hold(tmp_path / "lock", refuse):
            pass


def test_a_lock_is_taken_by_one_at_a_time_and_a_descriptor_that_is_passed_on_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    descriptor = locks.take(path)
    assert descriptor is not None
    assert locks.take(path) is None
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, pass_fds=[descriptor]) as heir:
        os.close(descriptor)
        assert locks.take(path) is None, "the heir holds it"
        heir.communicate()
    again = locks.take(path)
    assert again is not None
    os.close(again)


def test_a_folder_is_a_lock_that_is_waited_for(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locks.wait_for(tmp_path):
            order.append("second")

    with locks.wait_for(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    with locks.wait_for(tmp_path / "lock"):
        assert locks.take(tmp_path / "lock") is None


def test_who_has_a_lock_is_seen_without_touching_it(tmp_path: Path, another: subprocess.Popen[str]) -> None:
    assert locks.holder(tmp_path / "none") is None
    assert locks.holder(tmp_path / "lock") == another.pid
    (tmp_path / "free").touch()
    assert locks.holder(tmp_path / "free") is None


def test_a_lock_whose_holder_is_just_ending_is_waited_for_and_the_holder_named(
    tmp_path: Path, another: subprocess.Popen[str]
) -> None:
    path = tmp_path / "lock"
    told: list[int | None] = []

    def end_it(pid: int | None) -> None:
        told.append(pid)
        another.kill()

    descriptor = locks.take_soon(path, end_it)
    assert descriptor is not None
    os.close(descriptor)
    assert told == [another.pid]


def test_a_lock_whose_holder_goes_on_is_not_waited_for_without_end(
    tmp_path: Path, another: subprocess.Popen[str]
) -> None:
    told: list[int | None] = []
    assert locks.take_soon(tmp_path / "lock", told.append, seconds=0.5) is None
    assert told == [another.pid], "once"
