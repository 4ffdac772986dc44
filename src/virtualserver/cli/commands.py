"""Which commands ``vs`` has, and where each is defined.

Only the module of the command that is run is imported: all of them together take half a second, and a shell asks for
what completes a word with each press of Tab.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

import click

from virtualserver.cli.failures import failure_of

__all__ = ["Commands"]

_DEFINED: Final = {
    "console": "console:console",
    "delete": "delete:command",
    "disable": "boot:disable",
    "doctor": "doctor:command",
    "down": "down:command",
    "enable": "boot:enable",
    "forward": "console:forward",
    "image": "image:group",
    "kubectl": "kubectl:command",
    "logs": "logs:command",
    "metrics": "metrics:command",
    "path": "path:command",
    "restart": "power:restart",
    "show": "show:command",
    "ssh": "console:ssh",
    "start": "power:start",
    "status": "status:command",
    "stop": "power:stop",
    "ui": "ui:command",
    "up": "up:command",
    "user": "user:group",
    "version": "version:command",
}
"""By the command's name: the module of `virtualserver.cli`, and what it is called there."""


class Commands(click.Group):
    """A group whose commands end with a `failures.CommandFailure` where an expected error reaches it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*_DEFINED, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None where there is none of that name."""
        if cmd_name not in _DEFINED:
            return super().get_command(ctx, cmd_name)
        module, _, name = _DEFINED[cmd_name].partition(":")
        command = getattr(importlib.import_module(f"virtualserver.cli.{module}"), name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table says so
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if failure := failure_of(error):
                raise failure from error
            raise
