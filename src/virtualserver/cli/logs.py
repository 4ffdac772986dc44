"""``vs logs``: what a guest wrote to its console; `servers.streams` fetches it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import click

from virtualserver.cli import output, target
from virtualserver.servers import streams
from virtualserver.servers.console_text import ConsoleText

if TYPE_CHECKING:
    from virtualserver.servers.access import ApiAccess

__all__ = ["command"]


@click.command("logs")
@target.argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the guest ends.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines of what is kept.")
@click.option("--raw", is_flag=True, help="As the guest wrote it, colours and all; else as lines of text.")
def command(access: ApiAccess, name: str, follow: bool, tail: int | None, raw: bool) -> None:
    """Print the last 64 KiB of what a guest wrote to its serial console since its start."""
    asyncio.run(_print_raw(access, name, follow) if raw else _print(access, name, follow, tail))


async def _print(access: ApiAccess, name: str, follow: bool, tail: int | None) -> None:
    text, is_kept = ConsoleText(), True
    async with contextlib.aclosing(streams.log(access, name, follows=follow)) as pieces:
        async for piece in pieces:
            lines = list(text.feed(piece))
            skipped = max(0, len(lines) - tail) if is_kept and tail is not None else 0
            for line in lines[skipped:]:
                output.say(line)
            is_kept = False
    if rest := text.rest():
        output.say(rest)


async def _print_raw(access: ApiAccess, name: str, follow: bool) -> None:
    async with contextlib.aclosing(streams.log(access, name, follows=follow)) as pieces:
        async for piece in pieces:
            output.raw(piece)
