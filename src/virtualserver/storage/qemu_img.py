"""What ``qemu-img`` is told: makes, grows, converts and reads disks.

The functions return command lines, so that a build can run one in its own way; `run` is the plain way.
Source: qemu-img(1).
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = [
    "CORRUPT",
    "SOUND",
    "QemuImgError",
    "check",
    "convert",
    "copy",
    "create",
    "follow",
    "information",
    "resize",
    "run",
    "share_of",
]

_PROGRAM: Final = "qemu-img"

CORRUPT: Final = 2
"""Status of `check` where a part of the disk is missing or wrong."""

SOUND: Final = (3, 63)
"""Statuses of `check` that are no fault: room that nothing uses, and a form that has nothing to check."""

_SHARE: Final = re.compile(rb"\((\d+\.\d+)/100%\)")

_LIMITS: Final = ("prlimit", "--as=4294967296", "--cpu=60")
"""What qemu-img may use to look at a file that somebody else made. Source: OpenStack's advice on hostile images."""


class QemuImgError(Exception):
    """``qemu-img`` could not be run, or failed; the message says what to do where that is known.

    Attributes:
        missing: The program that is not on PATH; None: it ran.
        complaint: What it wrote; empty where it was ended or did not run.
        status: How it ended, negative for a signal; None: it did not run.
    """

    def __init__(
        self, message: str, *, missing: str | None = None, complaint: str = "", status: int | None = None
    ) -> None:
        super().__init__(message)
        self.missing = missing
        self.complaint = complaint
        self.status = status


def create(
    path: Path, *, size_bytes: int | None = None, base: Path | None = None, base_format: str = "qcow2"
) -> list[str]:
    """Return the command that makes a qcow2 disk.

    Args:
        path: The new file.
        size_bytes: How large the guest sees it; None: as large as its base, which is opened to learn that.
        base: The file that it starts from, never written to; None: it starts empty. With a size it is not opened,
            nor what it refers to.
        base_format: How the base is to be read; never guessed from what a guest may have written.
    """
    origin = [] if base is None else ["-F", base_format, "-b", str(base)]
    if base is not None and size_bytes is not None:
        origin.append("-u")
    size = [] if size_bytes is None else [str(size_bytes)]
    return [_PROGRAM, "create", "-q", "-f", "qcow2", *origin, str(path), *size]


def resize(path: Path, size_bytes: int) -> list[str]:
    """Return the command that makes a qcow2 disk larger."""
    return [_PROGRAM, "resize", "-q", "-f", "qcow2", str(path), str(size_bytes)]


def convert(source: Path, target: Path) -> list[str]:
    """Return the command that copies a raw disk as qcow2; `share_of` reads what it writes."""
    return [_PROGRAM, "convert", "-p", "-f", "raw", "-O", "qcow2", str(source), str(target)]


def copy(source: Path, target: Path, *, base: Path) -> list[str]:
    """Return the command that copies a qcow2 disk; what it has from its base is not copied.

    It fails while a machine writes to the disk, and no machine can while it goes on. `share_of` reads what it writes.

    Args:
        source: The disk.
        target: The new file.
        base: The qcow2 file that both start from.
    """
    forms = ("-f", "qcow2", "-O", "qcow2", "-F", "qcow2")
    return [_PROGRAM, "convert", "-p", *forms, "-B", str(base), str(source), str(target)]


def share_of(written: bytes) -> float | None:
    """Return how much of its work a command said last that it had done, 0 to 1; None where it did not say."""
    told = _SHARE.findall(written)
    return float(told[-1]) / 100 if told else None


def check(disk: Path) -> list[str]:
    """Return the command that looks whether a qcow2 disk that anybody may have made is whole; see `SOUND`."""
    return [*_LIMITS, _PROGRAM, "check", "-q", "-f", "qcow2", str(disk)]


def information(disk: Path, *, is_foreign: bool = False) -> dict[str, Any]:
    """Return what ``qemu-img info`` says about a qcow2 disk; what the disk refers to is not followed.

    Args:
        disk: The file; a running machine may write to it.
        is_foreign: True where anybody may have made it: then time and memory are limited.

    Raises:
        QemuImgError: It cannot be read.
    """
    limits = _LIMITS if is_foreign else ()
    return msgspec.json.decode(
        run([*limits, _PROGRAM, "info", "--output=json", "--force-share", "-f", "qcow2", str(disk)]),
        type=dict[str, Any],
    )


def run(command: Sequence[str]) -> str:
    """Run a command that one of the functions here returned, and return what it wrote.

    Raises:
        QemuImgError: It is missing or failed.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise _missing(error) from None
    _check(command, done.returncode, done.stderr)
    return done.stdout


def follow(command: Sequence[str], progress: Callable[[float], None]) -> None:
    """Run a command that tells how far it is.

    Args:
        command: That of `convert` or `copy`.
        progress: Called with the share of the work that is done, 0 to 1, a hundred times at most.

    Raises:
        QemuImgError: It is missing or failed.
    """
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, bufsize=0)
        except FileNotFoundError as error:
            raise _missing(error) from None
        with process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            while part := process.stdout.read(4096):
                if (share := share_of(part)) is not None:
                    progress(share)
        complaints.seek(0)
        _check(command, process.returncode, complaints.read().decode(errors="replace"))


def _missing(error: FileNotFoundError) -> QemuImgError:
    return QemuImgError(
        f"{error.filename} is not on PATH: install it with `apt-get install --no-install-recommends qemu-utils`",
        missing=str(error.filename),
    )


def _check(command: Sequence[str], status: int, complaint: str) -> None:
    """Raise what a command complains of that failed."""
    if status:
        verb, complaint = command[command.index(_PROGRAM) + 1], complaint.strip()
        raise QemuImgError(f"{_PROGRAM} {verb}: {complaint}", complaint=complaint, status=status)
