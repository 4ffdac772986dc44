"""``vs console``, ``vs ssh`` and ``vs forward``: ways into a guest; `servers.streams` and `servers.login` know them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from virtualserver.cli import output, target
from virtualserver.cli.failures import CommandFailure
from virtualserver.installation.installation import Installation
from virtualserver.servers import login, streams

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from virtualserver.servers.access import ApiAccess

__all__ = ["console", "forward", "ssh"]

_T = TypeVar("_T")

_KEYS: Final = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
"""The keys of ``~/.ssh`` that ssh tries by itself where it is told of no other."""


@click.command("console")
@target.argument
def console(access: ApiAccess, name: str) -> None:
    """Connect the terminal with a guest's serial console; Ctrl-] leaves it."""
    output.say(f"Console of {name}: Ctrl-] leaves it; Enter asks for a prompt.", err=True)
    left = _run(streams.console(access, name, reads=sys.stdin.fileno(), writes=sys.stdout.fileno()))
    output.say(err=True)
    if not left:
        output.say("The console has ended: the guest stopped, or somebody else has taken it.", err=True)


@click.command("forward")
@target.argument
@click.argument("port", type=click.IntRange(1, 65535))
def forward(access: ApiAccess, name: str, port: int) -> None:
    """Carry standard input and output to a TCP port of a guest, published or not: vs forward web 22."""
    _run(streams.forward(access, name, port, reads=sys.stdin.fileno(), writes=sys.stdout.fileno()))


@click.command("ssh")
@target.argument
@click.option("-l", "--user", default="", help="Whom to log in as; else the first of the manifest's users.")
@click.option("-i", "--identity", type=click.Path(path_type=Path), help="The private key to log in with.")
@click.option("-o", "--option", "options", multiple=True, metavar="OPTION", help="As ssh has it; may be repeated.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(
    access: ApiAccess, name: str, user: str, identity: Path | None, options: tuple[str, ...], command: tuple[str, ...]
) -> None:
    """Log in to a server, of a private or headless one too: vs ssh web, vs ssh web -- uptime."""
    more = [*_identities(identity), *(part for option in options for part in ("-o", option))]
    where = ("-n", access.namespace, "--kubeconfig", str(access.kubeconfig.absolute()))
    proxy = [sys.executable, "-m", "virtualserver.cli", "forward", *where, name, str(login.PORT)]
    line = [*asyncio.run(login.command(access, name, user=user, options=more, proxy=proxy)), *command]
    sys.stdout.flush()
    try:
        os.execvp(line[0], line)  # noqa: S606 - no shell is wanted: ssh takes this process's place
    except FileNotFoundError:
        raise CommandFailure("there is no ssh.", remedy="apt-get install openssh-client") from None


def _identities(identity: Path | None) -> list[str]:
    """Return the options that name the caller's keys, and the one that `vs up` made where the caller had none."""
    if identity is not None:
        return ["-i", str(identity)]
    made = Installation.from_environment().ssh / "id_ed25519"
    if not os.access(made, os.R_OK):
        return []
    own = (Path.home() / ".ssh" / name for name in _KEYS)
    return [part for key in (*filter(Path.exists, own), made) for part in ("-i", str(key))]


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Do it; a signal that ends us ends it, and then the command."""
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
