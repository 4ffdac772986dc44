"""Which server a command is about: its name, its namespace, and the caller's way to the API."""

from __future__ import annotations

import asyncio
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from virtualserver.cli import output
from virtualserver.installation.installation import Installation
from virtualserver.servers.access import ApiAccess
from virtualserver.servers.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["access", "argument", "waits"]

_COMPLETE_SECONDS: Final = 2.0
_WAIT_SECONDS: Final = 300.0

_CHOOSING: Final = ("VS_INSTANCE", "VS_STATE")

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


def _access(kubeconfig: Path | None, namespace: str | None) -> ApiAccess:
    installation = Installation.from_environment()
    return ApiAccess.find(
        kubeconfig=kubeconfig,
        namespace=namespace,
        instance=installation.kubeconfig,
        is_chosen=any(os.environ.get(variable) for variable in _CHOOSING),
    )


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of servers; none where nobody answers at once."""
    del parameter

    async def names() -> list[str]:
        access = _access(context.params.get("kubeconfig"), context.params.get("namespace"))
        async with asyncio.timeout(_COMPLETE_SECONDS), access.client() as client:
            return await access.names(client)

    try:
        known = asyncio.run(names())
    except (ServerError, OSError):
        return []
    return [CompletionItem(name) for name in sorted(known) if name.startswith(incomplete)]


def argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the NAME of a server, ``-n`` and ``--kubeconfig``; it is called with ``access`` and ``name``."""
    return access(click.argument("name", shell_complete=_complete)(function))


def access(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``-n`` and ``--kubeconfig``; it is called with ``access``."""

    @functools.wraps(function)
    def called(*, kubeconfig: Path | None, namespace: str | None, **others: Any) -> Any:
        return function(access=_access(kubeconfig, namespace), **others)

    given = click.option(
        "--kubeconfig",
        type=_FILE,
        metavar="FILE",
        help="Whose rights are used; else those of VS_INSTANCE's file, KUBECONFIG's, or the instance's.",
    )(called)
    return click.option("--namespace", "-n", help="Where the server is; else the kubeconfig's own namespace.")(given)


def waits(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of waiting, and of printing what came of it."""
    waits = click.option("--wait/--no-wait", default=True, show_default=True, help="Come back when it is so.")
    timeout = click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        default=_WAIT_SECONDS,
        show_default=True,
        metavar="S",
        help="How long to wait at most; what was begun goes on.",
    )
    return waits(timeout(output.option(function)))
