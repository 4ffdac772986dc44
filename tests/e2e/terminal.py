"""A terminal with a program on it, as a person sits before it."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import termios
from typing import TYPE_CHECKING, Any

from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

__all__ = ["Terminal", "on_terminal"]


class Terminal:
    """The person's side.

    Attributes:
        heard: All that the program wrote.
    """

    def __init__(self, ours: int, its: int, process: subprocess.Popen[bytes]) -> None:
        self._ours, self._its, self._process = ours, its, process
        self.heard = ""
        os.set_blocking(ours, False)

    @property
    def settings(self) -> list[Any]:
        """How the terminal treats what is typed."""
        return termios.tcgetattr(self._its)

    def type(self, text: str) -> None:
        """Press the keys."""
        os.write(self._ours, text.encode())

    def wait_for(self, words: str, *, seconds: float = 60) -> None:
        """Wait until the program has written something."""

        def said() -> bool:
            with contextlib.suppress(BlockingIOError):
                self.heard += os.read(self._ours, 1 << 16).decode(errors="replace")
            return words in self.heard

        eventually(said, what=lambda: f"{words!r} in {self.heard!r}", seconds=seconds)

    def ended(self) -> int:
        """Wait until the program has ended, and return its status."""
        return self._process.wait(30)


@contextlib.contextmanager
def on_terminal(command: Sequence[str], environment: Mapping[str, str]) -> Generator[Terminal]:
    """Run a program on a new terminal; it is ended with the context."""
    ours, its = pty.openpty()
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True)
    try:
        yield Terminal(ours, its, process)
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours)
        os.close(its)
