"""Runs jobs side by side, each in a process of its own, and prints what each said when it ends.

Most tests wait most of the time: for a guest to boot, a lease to run out, a process to come back. So there are more
processes than processors, and what they say is kept in ``build/suite/JOB.log`` until the job is over.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["AT_ONCE", "Finished", "Runner", "tests_command"]

AT_ONCE = 2 * (os.cpu_count() or 1)
"""How many jobs run at once: twice as many as there are processors."""


def tests_command(report: Path, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs pytest and has it write a report."""
    return [sys.executable, "-m", "pytest", f"--junitxml={report}", *arguments]


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that is over.

    Attributes:
        name: The job's name.
        status: The process's exit status.
        log: All that it printed.
    """

    name: str
    status: int
    log: Path


class Runner:
    """Starts jobs in the order in which it gets them, as many at once as it may."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the logs, which exists."""
        self._folder = folder
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._jobs: list[Future[Finished]] = []

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *error: object) -> None:
        # Whoever interrupts us interrupts the processes too: they are of our process group.
        self._pool.shutdown(cancel_futures=True)

    def start(self, name: str, command: Sequence[str]) -> None:
        """Run a command once its turn comes."""
        self._jobs.append(self._pool.submit(self._run, name, command))

    def finish(self) -> list[Finished]:
        """Wait until all jobs are over, and return them in the order in which they ended."""
        return [future.result() for future in as_completed(self._jobs)]

    def _run(self, name: str, command: Sequence[str]) -> Finished:
        path, began = self._folder / f"{name}.log", time.monotonic()
        print(f"== {name} begins", flush=True)
        with path.open("wb") as log:
            status = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        said = path.read_text(errors="replace")
        seconds = time.monotonic() - began
        # One write, so that the words of two jobs that end together do not mix.
        print(f"{said}\n== {name}: {'passed' if status == 0 else 'FAILED'} ({seconds:.0f} s)", flush=True)
        return Finished(name, status, path)
