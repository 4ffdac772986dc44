"""``vs ui``: a link to the web console, for the rights of one kubeconfig.

The console is loaded by who asks for it: a web server takes a fifth of a second, which every other command would pay.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from typing import TYPE_CHECKING

import click

from virtualserver import controlplane
from virtualserver.cli import output, target
from virtualserver.cli.failures import CommandFailure
from virtualserver.installation.installation import Installation

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.servers.access import ApiAccess

__all__ = ["command", "link", "why_here"]


@click.command("ui")
@target.access
@click.option("--port", type=click.IntRange(0, 65535), help="Serve a console here, even where the instance has one.")
@output.option
def command(access: ApiAccess, port: int | None, form: str) -> None:
    """Print a link that signs in to the web console with your rights, once and within ten minutes.

    The instance's own console is meant where the kubeconfig is of the instance; for any other cluster one is served
    here until Ctrl-C.
    """
    installation = Installation.from_environment()
    found = None if port is not None else link(installation, access.kubeconfig, access.namespace)
    if found is not None:
        _print(found, form)
        return
    why = "as --port asks" if port is not None else why_here(installation)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(access, port or 0, form, why=why))
    except OSError as error:
        raise CommandFailure(f"port {port} of 127.0.0.1 cannot be had: {error.strerror}.") from error


def _print(found: str, form: str) -> None:
    if form == "json":
        output.as_json({"link": found})
    else:
        output.say(found)


def why_here(installation: Installation) -> str:
    """Return why an instance's own console is not meant, and what to do where it should be, as a part of a sentence."""
    there = f"instance {installation.name!r} in {installation.root}"
    other = "where another is meant, name it with VS_STATE or VS_INSTANCE, or its kubeconfig with --kubeconfig"
    if installation.console_socket.exists():
        return f"since that is not the API server of {there}; {other}"
    return f"since no console of {there} runs; {other}"


async def _serve(access: ApiAccess, port: int, form: str, *, why: str) -> None:
    from virtualserver.console.pages import MissingPagesError, Pages
    from virtualserver.console.serving import serving

    try:
        pages = Pages.carried()
    except MissingPagesError as error:
        raise CommandFailure(str(error)) from error
    async with serving(port=port, pages=pages) as served:
        output.say(f"The console for {access.credentials.server} is served by this command, {why}.", err=True)
        output.say(f"It has the rights of {access.kubeconfig}; the link works once, for ten minutes:", err=True)
        _print(served.link(access.credentials), form)
        output.say("Ctrl-C ends it.", err=True)
        await asyncio.Event().wait()


def link(installation: Installation, kubeconfig: Path, namespace: str) -> str | None:
    """Return a link of an instance's console; None where it has none, or the kubeconfig is of another cluster.

    Args:
        installation: Whose console is meant.
        kubeconfig: Whose rights.
        namespace: The one that is meant where none is named.

    Raises:
        CommandFailure: It gives none, or the kubeconfig cannot be used.
    """
    from virtualserver.console.links import LinkError, link_of

    passing = _passing(installation) if _is_same(kubeconfig, installation.kubeconfig) else None
    try:
        return link_of(installation.console_socket, kubeconfig, namespace=namespace, passing=passing)
    except (LinkError, OSError) as error:
        raise CommandFailure(f"the console gives no link: {error}") from error


def _passing(installation: Installation) -> tuple[bytes, bytes] | None:
    """Return a certificate for one sign-in, where the caller may have one made: then the console holds no other."""
    from virtualserver.console.sessions import LASTS_SECONDS

    now = datetime.datetime.now(datetime.UTC)
    try:
        return controlplane.passing(installation, now=now, lifetime=datetime.timedelta(seconds=LASTS_SECONDS))
    except OSError:
        return None


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
