"""Programs of the system: what their failures say, and how long ones are followed and ended."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from virtualserver.host.commands import CommandError, follow, run, run_here


async def test_a_failure_tells_on_one_line_all_that_the_program_said() -> None:
    with pytest.raises(CommandError, match=r"^sh -c .*: exit status 3: File exists; Command failed -:1$"):
        await run("sh", "-c", "printf 'File exists\\nCommand failed -:1\\n' >&2; exit 3")


async def test_a_missing_program_is_named_with_the_remedy() -> None:
    with pytest.raises(CommandError, match="no-such-program: not found on PATH: install it"):
        await run("no-such-program")


def test_a_program_of_the_calling_thread_fails_in_the_same_words() -> None:
    assert run_here("echo", "hello") == "hello\n"
    with pytest.raises(CommandError, match=r"^sh -c .*: exit status 3: one; two$"):
        run_here("sh", "-c", "echo one >&2; echo two >&2; exit 3")
    with pytest.raises(CommandError, match="no-such-program: not found on PATH: install it"):
        run_here("no-such-program")


async def test_an_accepted_status_is_no_failure() -> None:
    assert await run("sh", "-c", "cat; exit 1", stdin="text", accept=(0, 1)) == "text"


def test_an_interrupted_command_ends_with_all_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def interrupt() -> None:
        if pids.exists() and len(pids.read_text().split()) == 2:
            raise KeyboardInterrupt

    script = f"sleep 300 & echo $! >> {pids}; echo $$ >> {pids}; wait"
    with pytest.raises(KeyboardInterrupt):
        follow(["sh", "-c", script], environment=None, on_line=lambda line: None, progress=interrupt)
    for pid in pids.read_text().split():
        end = time.monotonic() + 30
        while Path(f"/proc/{pid}/stat").exists() and ") Z " not in Path(f"/proc/{pid}/stat").read_text():
            assert time.monotonic() < end, f"PID {pid} still runs"
            time.sleep(0.05)


def test_output_and_lines_are_told_apart() -> None:
    lines: list[str] = []
    script = "echo out; echo one >&2; echo two >&2"
    output = follow(["sh", "-c", script], environment=None, on_line=lines.append, progress=lambda: None)
    assert (output, lines) == ("out\n", ["one", "two"])


def test_a_program_that_is_not_there_is_an_error_for_people() -> None:
    with pytest.raises(CommandError, match="cannot be started: No such file"):
        follow(["/nonexistent"], environment=None, on_line=lambda line: None, progress=lambda: None)
