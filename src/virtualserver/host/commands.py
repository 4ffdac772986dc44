"""Programs of the system, run without holding up the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["CommandError", "run"]


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
        raise CommandError(f"{command[0]}: not found on PATH: install it (`vs doctor` names the package)") from error
    output, complaint = await process.communicate(None if stdin is None else stdin.encode())
    if process.returncode not in accept:
        said = complaint.decode(errors="replace").strip() or output.decode(errors="replace").strip()
        # On one line, since it is the last line of a log that people are shown.
        said = "; ".join(said.splitlines())
        raise CommandError(f"{' '.join(command)}: exit status {process.returncode}: {said[:2000]}")
    return output.decode(errors="replace")
