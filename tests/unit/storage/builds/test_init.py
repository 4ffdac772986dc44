"""Programs that builders run, and the folder they work in."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from virtualserver.storage import builds
from virtualserver.storage.builds import ImageBuildError


def test_all_missing_programs_are_named_with_one_command() -> None:
    with pytest.raises(ImageBuildError, match=r"not on PATH: vs-none, vs-none-two; .*install .* one two`"):
        builds.require_programs({"sh": "dash", "vs-none": "one", "vs-none-two": "two"})


async def test_a_program_that_fails_is_quoted_with_its_step() -> None:
    with pytest.raises(ImageBuildError, match=r"trying: `sh` failed with status 3: the reason"):
        await builds.run(["sh", "-c", "echo the reason >&2; exit 3"], step="trying")


async def test_a_program_is_ended_with_all_it_started_when_the_build_is_cancelled(tmp_path: Path) -> None:
    script = f"sleep 300 & echo $! >{tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; wait"
    task = asyncio.create_task(builds.run(["sh", "-c", script], step="waiting"))
    async with asyncio.timeout(30):
        while not (tmp_path / "pid").exists():
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    pid = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(30):
        while Path(f"/proc/{pid}").exists() and ") Z " not in Path(f"/proc/{pid}/stat").read_text():
            await asyncio.sleep(0.01)


async def test_a_workspace_is_gone_in_the_end_and_its_predecessors_too(tmp_path: Path) -> None:
    (tmp_path / ".building").mkdir()
    (tmp_path / ".building" / "left").touch()
    async with builds.workspace(tmp_path) as temporary:
        assert os.listdir(temporary) == []
        (temporary / "half").touch()
    assert not (tmp_path / ".building").exists()


async def test_two_builds_do_not_share_a_workspace(tmp_path: Path) -> None:
    async with builds.workspace(tmp_path):
        with pytest.raises(ImageBuildError, match="another image is being built"):
            async with builds.workspace(tmp_path):
                pass
    async with builds.workspace(tmp_path):
        pass
