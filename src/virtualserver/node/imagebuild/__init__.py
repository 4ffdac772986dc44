"""Makes guest images out of Debian's packages, so that no image server is needed.

Each builder is a function ``build(workdir, progress=...)`` that returns a `BuiltImage` for `images.ImageStore.add`.
Nothing here knows the store, Kubernetes or a running machine. Tests: ``tests/unit/node/imagebuild`` and
``tests/integration/node/test_imagebuild_*.py``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BuiltImage", "ImageBuildError", "Progress", "require_programs", "run"]

Progress = Callable[[str, float | None], None]
"""Told what is being done, in words, and the done fraction of it (0.0 to 1.0; None: not known)."""


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
    """

    disk: Path
    kernel: Path | None
    initrd: Path | None
    command_line: str
    name: str
    description: str


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
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        await _end_group(process)
        raise
    if process.returncode:
        tail = "\n".join(errors.decode(errors="replace").strip().splitlines()[-12:])
        raise ImageBuildError(f"{step}: `{argv[0]}` failed with status {process.returncode}: {tail or 'no message'}")
    return output


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """End a program and what it started: politely first, since mmdebstrap cleans up when it is asked to end."""
    for sign, limit_seconds in ((signal.SIGTERM, 15.0), (signal.SIGKILL, 15.0)):
        try:
            os.killpg(process.pid, sign)
            await asyncio.wait_for(process.wait(), limit_seconds)
        except ProcessLookupError:
            return
        except TimeoutError:
            continue
        return
