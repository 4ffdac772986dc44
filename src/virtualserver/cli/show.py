"""``vs show``: one page about a server; `servers.show` collects it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import click

from virtualserver.cli import output, target
from virtualserver.servers.show import SILENT, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtualserver.servers.access import ApiAccess
    from virtualserver.servers.page import Happening, Page

__all__ = ["command", "encode"]

_KINDS = {"external": "reached from outside", "internal": "the guest's own", "service": "of its Service, inside"}
"""What an address is, in words."""

_FIELDS = {"runs_since": "runsSince", "run_strategy": "runStrategy", "restart_needed": "restartNeeded"}
"""Names in JSON that are not those of the page's attributes."""


@click.command("show")
@target.argument
@output.option
def command(access: ApiAccess, name: str, form: str) -> None:
    """Show all about a server: state, addresses, which published ports answer now, disk, what to do next, Events."""
    found = asyncio.run(show(access, name))
    if form == "json":
        output.as_json(encode(found))
        return
    output.pairs(_lines(access, found))
    for heading, *rows in _tables(found):
        if rows:
            output.say()
            output.table(heading, rows)


def encode(found: Page) -> dict[str, Any]:
    """Return what ``vs show -o json`` prints; docs/cli.md promises it."""
    return {_FIELDS.get(field, field): value for field, value in dataclasses.asdict(found).items()}


def _lines(access: ApiAccess, found: Page) -> Iterator[tuple[str, str]]:
    """Yield headings and what stands beside them."""
    yield "server", f"{found.name} in namespace {found.namespace}"
    yield "state", f"{found.reason}: {found.message}"
    for concern in found.concerns:
        if concern.type != "Ready":
            yield concern.type, f"{concern.reason}: {concern.message}"
        if concern.remedy:
            yield "", f"next: {concern.remedy}"
    yield "since", found.since + (f", the guest was started {found.runs_since}" if found.runs else "")
    yield "run strategy", found.run_strategy
    for kind, address in found.addresses.items():
        yield "address", f"{address} ({_KINDS.get(kind, kind)})"
    for name in found.names:
        yield "name inside", name
    disk = found.disk
    has = f", {disk.has} as it is" if disk.has not in ("", disk.size) else ""
    yield "disk", f"{disk.size} from {disk.source or 'nothing'}{has}: {disk.state}"
    if found.users:
        yield "users", ", ".join(found.users)
    if found.restart_needed:
        yield "restart", f"needed for {', '.join(found.restart_needed)}: {access.command('restart', found.name)}"
    if any(port.answer == SILENT for port in found.ports):
        yield "no answer", f"next: {access.command('path', found.name)} says where packets are lost"


def _tables(found: Page) -> Iterator[list[tuple[str, ...]]]:
    """Yield tables, the headings first."""
    ports = [(port.address, f"{port.port}/{port.protocol}", port.answer) for port in found.ports]
    yield [("ADDRESS", "PORT", "ASKED FROM HERE, NOW"), *ports]
    events = [(one.time, one.type, _reason(one), one.about, one.message) for one in found.events]
    yield [("LAST SEEN", "TYPE", "REASON", "ABOUT", "MESSAGE"), *events]


def _reason(event: Happening) -> str:
    return f"{event.reason} ({event.count} times)" if event.count > 1 else event.reason
