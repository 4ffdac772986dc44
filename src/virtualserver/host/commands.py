"""Programs of the system: short ones, without holding up the event loop, and long ones that say how far they are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

__all__ = ["CommandError", "follow", "run", "run_here"]


class CommandError(Exception):
    """A program of the system failed; the message has its command line and what it said."""


async def run(*command: str, stdin: str | None = None, accept: Collection[int] = (0,)) -> str:
    """Run a program to its end and return what it wrote to its standard output.

    Args:
        command: The program and its arguments; never a shell's line.
        stdin: What the program reads; ``None`` for nothing.
        accept: The exit statuses that are no failure.

    Raises:
        CommandError: The program is not installed, or ended with another status.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise _missing(command) from error
    output, complaint = await process.communicate(None if stdin is None else stdin.encode())
    if process.returncode not in accept:
        raise _failed(command, process.returncode, output, complaint)
    return output.decode(errors="replace")


def run_here(*command: str) -> str:
    """Run a program to its end, as `run` does, but from the calling thread, whose network namespace it is in.

    Raises:
        CommandError: The program is not installed, or failed.
    """
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    except FileNotFoundError as error:
        raise _missing(command) from error
    if done.returncode:
        raise _failed(command, done.returncode, done.stdout, done.stderr)
    return done.stdout.decode(errors="replace")


def _missing(command: Sequence[str]) -> CommandError:
    return CommandError(f"{command[0]}: not found on PATH: install it (`vs doctor` names the package)")


def _failed(command: Sequence[str], status: int | None, output: bytes, complaint: bytes) -> CommandError:
    said = complaint.decode(errors="replace").strip() or output.decode(errors="replace").strip()
    # On one line, since it is the last line of a log that people are shown.
    said = "; ".join(said.splitlines())
    return CommandError(f"{' '.join(command)}: exit status {status}: {said[:2000]}")


def follow(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None,
    on_line: Callable[[str], None],
    progress: Callable[[], None],
    folder: Path | None = None,
) -> str:
    """Run a long command to its end and return what it wrote to its standard output. Blocks.

    The command ends with all its children if we are interrupted.

    Args:
        command: Program and arguments.
        environment: All of its environment; None: ours.
        on_line: Called with each line of its standard error.
        progress: Called after each such line, and about once a second.
        folder: Its working directory; None: ours.

    Raises:
        CommandError: It cannot be started, or fails; with the end of its standard error.
    """
    child = _start(command, environment, folder)
    try:
        output, said = _read(child, on_line, progress)
        status = child.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # its whole session is ours: compilers, linkers
        child.wait()
        raise
    finally:
        for pipe in (child.stdout, child.stderr):
            if pipe:
                pipe.close()
    if status:
        end = "\n".join(said.splitlines()[-12:])
        raise CommandError(f"`{' '.join(command[:3])} ...` ended with status {status}:\n{end}")
    return output


def _start(
    command: Sequence[str], environment: Mapping[str, str] | None, folder: Path | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise CommandError(f"{command[0]} cannot be started: {error.strerror}") from None


def _read(
    child: subprocess.Popen[bytes], on_line: Callable[[str], None], progress: Callable[[], None]
) -> tuple[str, str]:
    """Read both pipes to their ends; return (standard output, standard error)."""
    assert child.stdout and child.stderr  # noqa: S101 - they are pipes
    read = {child.stdout.fileno(): bytearray(), child.stderr.fileno(): bytearray()}
    said, told = read[child.stderr.fileno()], 0
    with selectors.DefaultSelector() as selector:
        for descriptor in read:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(timeout=1):
                chunk = os.read(key.fd, 65536)
                read[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
            while (end := said.find(b"\n", told)) >= 0:
                on_line(said[told:end].decode(errors="replace"))
                told = end + 1
            progress()
    output, errors_said = (bytes(content).decode(errors="replace") for content in read.values())
    return output, errors_said
