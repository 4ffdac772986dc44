"""How a command ends when it does not succeed: one line of what, one of why, one of what to do, and an exit status.

The statuses are part of the command's contract (docs/cli.md): 1 failed, 2 usage, 3 not found, 4 conflict, 5 timed out
while the work continues, 130 interrupted.

    click.ClickException
    └── Failure
        ├── NotFound
        ├── Conflict
        └── TimedOut
"""

from __future__ import annotations

from typing import IO, Any

import click

__all__ = ["Conflict", "Failure", "NotFound", "TimedOut"]


class Failure(click.ClickException):
    """The command failed; nothing that was there before is lost."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        """Say what failed and why, and what to do about it."""
        super().__init__(message)
        self.remedy = remedy

    def during(self, step: str, *, remedy: str) -> Failure:
        """Return the same failure as one of a step; a remedy of its own is better than the step's."""
        return type(self)(f"step {step!r} failed: {self.message}", remedy=self.remedy or remedy)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message and the remedy on standard error, which is never the command's data."""
        click.secho(f"error: {self.message}", file=file, err=True, fg="red")
        if self.remedy:
            click.echo(f"  {self.remedy}", file=file, err=True)


class NotFound(Failure):
    """What the command was to act on is not there."""

    exit_code = 3


class Conflict(Failure):
    """What is there stands in the way, such as an image of the same name or servers that use it."""

    exit_code = 4


class TimedOut(Failure):
    """The time is over, but what was begun goes on."""

    exit_code = 5
