"""A build of the Debian image that is interrupted; what comes out of one is booted by ``tests/e2e/test_make.py``."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from virtualserver.storage import builds
from virtualserver.storage.builds import debian

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="installing a system into a folder needs root"),
    pytest.mark.timeout(1200),
]

USER = 64_006


def quiet(_step: str, _done: float | None) -> None:
    """Tell nobody."""


def traces_of(folder: Path) -> list[str]:
    """Return the processes and mounts that have to do with a folder."""
    processes = subprocess.run(["ps", "-e", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/self/mounts").read_text()
    return [line for line in (processes + mounts).splitlines() if str(folder) in line]


async def installing(folder: Path) -> None:
    """Wait until a build in a folder is in the midst of its installation."""
    async with asyncio.timeout(120):
        while not (folder / ".building" / "system" / "usr" / "bin").exists():
            await asyncio.sleep(0.1)


@pytest.fixture
def workdir() -> Generator[Path, None, None]:
    folder = Path(tempfile.mkdtemp(prefix="vsm-debian-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def test_a_cancelled_build_leaves_nothing(workdir: Path) -> None:
    steps: list[str] = []
    task = asyncio.create_task(debian.build(workdir, progress=lambda step, _done: steps.append(step)))
    await installing(workdir)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [path.name for path in workdir.iterdir()] == [".lock"]
    assert traces_of(workdir) == []
    assert any("installing" in step for step in steps)


async def test_a_killed_build_ends_and_the_next_one_clears_up(workdir: Path) -> None:
    script = (
        "import asyncio, pathlib, sys; from virtualserver.storage.builds import debian;"
        "asyncio.run(debian.build(pathlib.Path(sys.argv[1]), progress=print))"
    )
    builder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(workdir)), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await installing(workdir)
    finally:
        builder.kill()
        await builder.wait()
    async with asyncio.timeout(60):
        while traces_of(workdir):
            await asyncio.sleep(0.2)
    async with builds.workspace(workdir) as temporary:
        assert list(temporary.iterdir()) == []
    assert [path.name for path in workdir.iterdir()] == [".lock"]
