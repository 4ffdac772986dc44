"""How a command ends when it does not succeed: what and why on one line, what to do on the next, and an exit status.

The statuses are part of the command's contract (docs/cli.md): 1 failed, 2 usage, 3 not found, 4 conflict, 5 timed out
while the work continues, 130 interrupted.
"""

from __future__ import annotations

from typing import IO, Any, Final

import click

from virtualserver.cli import output
from virtualserver.local import errors as local
from virtualserver.servers import errors as servers

__all__ = ["CommandFailure", "Commands", "failure_of"]


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


_FAILURES: Final = (
    ((local.MissingError, servers.MissingServerError), _Missing),
    ((local.ConflictError, servers.StateError), _Conflict),
    ((local.TimedOutError, servers.UnfinishedError), _TimedOut),
)

_WITH_REMEDY: Final = (local.LocalError, servers.ServerError)
_EXPECTED: Final = (*local.EXPECTED, servers.ServerError)


def failure_of(error: Exception) -> CommandFailure:
    """Return how a command ends because of an expected error."""
    kind = next((failure for expected, failure in _FAILURES if isinstance(error, expected)), CommandFailure)
    return kind(str(error), remedy=error.remedy if isinstance(error, _WITH_REMEDY) else "")


class Commands(click.Group):
    """A group whose commands end with a `CommandFailure` where an expected error reaches it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except _EXPECTED as error:
            raise failure_of(error) from error
