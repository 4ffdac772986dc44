"""The ``vs`` command line: which commands there are, and how every one of them ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from click import shell_completion

import virtualserver
from virtualserver.cli import output
from virtualserver.cli.commands import Commands
from virtualserver.cli.failures import CommandFailure
from virtualserver.installation.installation import Installation

__all__ = ["main", "vs"]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(virtualserver.__version__, "--version", prog_name="vs")
@click.pass_context
def vs(context: click.Context) -> None:
    """Virtual machines with exactly the network their owner asks for, on this machine.

    An instance is chosen by VS_INSTANCE (`default`) and lives in VS_STATE (/var/lib/virtualserver).
    """
    context.obj = Installation.from_environment()


@vs.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes vs commands: source <(vs completion bash)."""
    classes = {
        "bash": shell_completion.BashComplete,
        "zsh": shell_completion.ZshComplete,
        "fish": shell_completion.FishComplete,
    }
    output.data(classes[shell](vs, {}, "vs", "_VS_COMPLETE").source() + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Run ``vs``, or the kubectl plugin where it was called as one, and end with the status of docs/cli.md."""
    called_as = Path(sys.argv[0]).name
    name = "kubectl vs" if called_as == "kubectl-vs" else "vs"
    try:
        vs.main(args=arguments, prog_name=name, complete_var="_VS_COMPLETE", standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except PermissionError as error:
        if os.geteuid() == 0:
            raise
        _needs_root(error, sys.argv[1:] if arguments is None else arguments).show()
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        output.say("interrupted; run it again to go on", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads any more; a second message about that helps nobody
        sys.exit(1)


def _needs_root(error: PermissionError, arguments: list[str]) -> CommandFailure:
    """Return what to tell somebody who met what is root's alone."""
    met = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return CommandFailure(
        f"this needs root ({met}).", remedy=f"Run it through sudo: sudo env PATH=$PATH {' '.join(['vs', *arguments])}"
    )


def complete_plugin() -> None:
    """Answer ``kubectl __complete vs ...``: candidates, one a line, and the directive not to complete file names."""
    words = sys.argv[1:]
    completer = shell_completion.ShellComplete(vs, {}, "vs", "_VS_COMPLETE")
    for item in completer.get_completions(words[:-1], words[-1] if words else ""):
        output.data((f"{item.value}\t{item.help}" if item.help else item.value) + "\n")
    output.data(":4\n")
