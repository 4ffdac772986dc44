"""Makes guest images out of Debian's packages, so that no image server is needed.

Each builder is a function ``build(workdir, progress=...)`` that returns a `BuiltImage` for `images.ImageStore.add`.
Nothing here knows the store, Kubernetes or a running machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

from virtualserver.host import locks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

__all__ = ["BuiltImage", "ImageBuildError", "require_programs", "run", "workspace"]

_CLEAR_SECONDS = 30.0


class ImageBuildError(Exception):
    """An image could not be built; the message says which step failed, why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class BuiltImage:
    """The files of an image that is ready to be added to a store.

    Attributes:
        disk: The root disk, raw or qcow2 without a backing file.
        kernel: The kernel to boot directly; None: the disk boots by itself.
        initrd: The initial RAM disk beside the kernel; None where there is no kernel or it needs none.
        command_line: The kernel's command line; empty without a kernel.
        name: What the image is called by default, a DNS label.
        description: One sentence for people.
        modules: What of cloud-init's modules its guests run.
    """

    disk: Path
    kernel: Path | None
    initrd: Path | None
    command_line: str
    name: str
    description: str
    modules: tuple[str, ...] = ()


def require_programs(packages: Mapping[str, str]) -> None:
    """Refuse to begin a build for which programs are missing.

    Args:
        packages: Program name -> the Debian package that has it.

    Raises:
        ImageBuildError: Names every missing program and the one command that installs them all.
    """
    missing = {program: package for program, package in packages.items() if shutil.which(program) is None}
    if missing:
        raise ImageBuildError(
            f"not on PATH: {', '.join(sorted(missing))}; install them with "
            f"`apt-get install --no-install-recommends {' '.join(sorted(set(missing.values())))}`"
        )


async def run(
    argv: Sequence[str], *, step: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> bytes:
    """Run a program to its end, and end it (its whole process group) when we are cancelled.

    Args:
        argv: The program and its arguments.
        step: What it does, in words, for the error.
        cwd: Where it runs; None: here.
        environment: Its whole environment; None: ours.

    Returns:
        What it wrote to its standard output.

    Raises:
        ImageBuildError: It failed; the message holds the end of what it wrote to standard error.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "TERM", "--", *argv),  # Where we are killed outright, it is asked to end.
            cwd=cwd,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    )
    try:
        # Python 3.11 waits for ever when a start is cancelled between the program and its pipes, hence the shield.
        process = await asyncio.shield(starting)
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        await _end_group(await starting)
        raise
    if process.returncode:
        tail = "\n".join(errors.decode(errors="replace").strip().splitlines()[-12:])
        raise ImageBuildError(f"{step}: `{argv[0]}` failed with status {process.returncode}: {tail or 'no message'}")
    return output


@contextlib.asynccontextmanager
async def workspace(workdir: Path) -> AsyncGenerator[Path, None]:
    """Make a folder for one build that is gone afterwards, and remove what killed builds left.

    Args:
        workdir: Where builds are made; made if missing. One build works in it at a time.

    Raises:
        ImageBuildError: Another build works there.
    """
    temporary, lock = await asyncio.to_thread(_enter, workdir)
    try:
        yield temporary
    finally:
        # Waited for even when we are cancelled a second time: half a system is not left behind.
        await asyncio.shield(asyncio.to_thread(_clear, temporary))
        os.close(lock)


def _enter(workdir: Path) -> tuple[Path, int]:
    """Take the folder for ourselves and make an empty one in it."""
    workdir.mkdir(mode=0o755, parents=True, exist_ok=True)
    lock = locks.take(workdir / ".lock")
    if lock is None:
        raise ImageBuildError(f"another image is being built in {workdir}; wait for it to end")
    try:
        temporary = workdir / ".building"
        _clear(temporary)
        temporary.mkdir(mode=0o755)
    except BaseException:
        os.close(lock)
        raise
    return temporary, lock


def _clear(folder: Path) -> None:
    """Remove a folder, waiting for what a killed build started: it may still be writing its last file."""
    end = time.monotonic() + _CLEAR_SECONDS
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except OSError as error:
            if time.monotonic() > end:
                raise ImageBuildError(
                    f"{folder}: what an earlier build left cannot be removed ({error}): rm -r {folder}"
                ) from None
            time.sleep(0.2)


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """End a program and what it started: politely first, since mmdebstrap cleans up when it is asked to end."""
    for sign, limit_seconds in ((signal.SIGTERM, 15.0), (signal.SIGKILL, 15.0)):
        try:
            os.killpg(process.pid, sign)
            async with asyncio.timeout(limit_seconds):
                await process.wait()
        except ProcessLookupError:
            return
        except TimeoutError:
            continue
        return
