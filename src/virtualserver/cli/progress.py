"""What a command is doing, for people: a moving line on a terminal, a few plain lines anywhere else.

Everything goes to standard error, so that standard output is the command's result alone. The only module that knows
rich, which is loaded once there is something to say: it takes as long as all else of a short command.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import IO, TYPE_CHECKING

from virtualserver.cli import output
from virtualserver.host.progress import repeating

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from virtualserver.host.progress import Update

__all__ = ["StepPrinter"]

_QUIET_SECONDS = 2.0
_REPEAT_SECONDS = 15.0


class StepPrinter:
    """Reports the steps of one command, one after another.

    A step that ends within two seconds is one line. A longer one shows what it waits for while it lasts: at once and
    moving on a terminal; elsewhere after two seconds, and then every 15 seconds at most.
    """

    def __init__(self, stream: IO[str] | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Report to a stream, standard error unless another is given."""
        from rich.console import Console

        self._stream = stream if stream is not None else sys.stderr
        self._console = Console(file=self._stream, highlight=False, soft_wrap=True)
        self._clock = clock
        self._said = ""

    def say(self, text: str) -> None:
        """Print a sentence."""
        self._console.print(output.sentence(text), markup=False)

    def once(self, text: str, share: float | None = None) -> None:
        """Say a sentence that is repeated while something lasts, the first time only."""
        del share
        if text != self._said:
            self._said = text
            self.say(text)

    @contextlib.contextmanager
    def step(self, title: str) -> Generator[Update]:
        """Report one step while the body runs; the body calls what it is given whenever it waits for something else."""
        began = self._clock()
        moving = self._moving if self._console.is_terminal else self._plain
        try:
            with moving(title, began) as update:
                yield update
        except BaseException:
            self.say(f"  {title}: failed after {self._clock() - began:.0f} s")
            raise
        self.say(f"  {title}: done ({self._clock() - began:.1f} s)")

    @contextlib.contextmanager
    def _moving(self, title: str, began: float) -> Generator[Update]:
        from rich import progress

        del began  # rich counts the time itself
        columns = (
            progress.TextColumn("  {task.description}", markup=False),
            progress.SpinnerColumn("line"),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.fields[share]} {task.fields[waits_for]}", markup=False),
        )
        with progress.Progress(*columns, console=self._console, transient=True) as live:
            task = live.add_task(output.sentence(title), total=None, waits_for="", share="")

            def update(waits_for: str, share: float | None = None) -> None:
                live.update(task, waits_for=output.sentence(waits_for), share="" if share is None else f"{share:4.0%}")

            yield update

    @contextlib.contextmanager
    def _plain(self, title: str, began: float) -> Generator[Update]:
        latest = ""

        def update(waits_for: str, share: float | None = None) -> None:
            nonlocal latest
            latest = waits_for + ("" if share is None else f" ({share:.0%})")

        def say() -> None:
            self.say(f"  {title}: {self._clock() - began:.0f} s{': ' if latest else ''}{latest}")

        with repeating(say, first=_QUIET_SECONDS, then=_REPEAT_SECONDS):
            yield update
