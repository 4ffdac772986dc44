"""How a command ends when it does not succeed: what and why on one line, what to do on the next, and an exit status.

The statuses are part of the command's contract (docs/cli.md): 1 failed, 2 usage, 3 not found, 4 conflict, 5 timed out
while the work continues, 130 interrupted.
"""

from __future__ import annotations

from typing import IO, Any

import click

from virtualserver.cli import output

__all__ = ["CommandFailure", "failure_of"]


class CommandFailure(click.ClickException):
    """The command failed, and says so on standard error, which is never the command's data."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        """Say what failed and why, and what to do about it."""
        super().__init__(message)
        self.remedy = remedy

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message and the remedy."""
        del file  # click's own errors go to standard error too
        output.say(f"error: {self.message}", colour="red", err=True)
        if self.remedy:
            output.say(f"  {self.remedy}", err=True)


class _Missing(CommandFailure):
    exit_code = 3


class _Conflict(CommandFailure):
    exit_code = 4


class _TimedOut(CommandFailure):
    exit_code = 5


def failure_of(error: Exception) -> CommandFailure | None:
    """Return how a command ends because of an error, None for one that nobody expects."""
    # Who can say what to do about an error knows all rooms, which most commands do not need.
    from virtualserver.local import errors as local
    from virtualserver.servers import errors as servers

    if not isinstance(error, (*local.EXPECTED, servers.ServerError)):
        return None
    kinds = (
        ((local.MissingError, servers.MissingServerError), _Missing),
        ((local.ConflictError, servers.StateError), _Conflict),
        ((local.TimedOutError, servers.UnfinishedError), _TimedOut),
    )
    kind = next((failure for expected, failure in kinds if isinstance(error, expected)), CommandFailure)
    remedy = error.remedy if isinstance(error, (local.LocalError, servers.ServerError)) else ""
    return kind(str(error), remedy=remedy)
