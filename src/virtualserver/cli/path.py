"""``vs path``: where packets to a server are lost; `servers.path` asks the node."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import click

from virtualserver.cli import output, target
from virtualserver.servers.path import path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtualserver.servers.access import ApiAccess
    from virtualserver.servers.path import NetworkPath

__all__ = ["command", "encode"]


@click.command("path")
@target.argument
@output.option
def command(access: ApiAccess, name: str, form: str) -> None:
    """Show where packets to a server are lost, from its addresses to the guest, with what to do."""
    found = asyncio.run(path(access, name))
    if form == "json":
        output.as_json(encode(found))
        return
    output.pairs(_lines(found))
    for heading, *rows in (_ways(found), _cards(found)):
        if rows:
            output.say()
            output.table(heading, rows)


def encode(found: NetworkPath) -> dict[str, Any]:
    """Return what ``vs path -o json`` prints; docs/cli.md promises it."""
    return dataclasses.asdict(found)


def _lines(found: NetworkPath) -> Iterator[tuple[str, str]]:
    yield "server", f"{found.name} in namespace {found.namespace}"
    runs = "runs" if found.guest.runs else "does not run"
    yield "guest", f"{runs}: {found.guest.message}" if found.guest.message else runs
    if found.loss is None:
        yield "lost", "nowhere that this machine can see: between you and it, docs/another-computer.md"
    else:
        yield "lost", f"{found.loss.place}: {found.loss.message}"
        yield "next", found.loss.remedy
    for name in found.names:
        yield "name inside", name


def _ways(found: NetworkPath) -> list[tuple[str, ...]]:
    """Return a table of the ways in, the headings first."""
    rows: list[tuple[str, ...]] = []
    for one in found.addresses:
        begins = (one.address or "none yet", one.pool or one.kind)
        clients = "everywhere" if one.sources is None else ", ".join(one.sources) or "nowhere"
        if not one.ports:
            rows.append((*begins, "all", clients, one.element, "", one.loss.place if one.loss else ""))
        for port in one.ports:
            lost = port.loss.place if port.loss else ""
            rows.append((*begins, f"{port.port}/{port.protocol}", clients, port.element, port.answer, lost))
    return [("ADDRESS", "POOL", "PORT", "FROM", "IN THE MAP", "THE GUEST, NOW", "LOST AT"), *rows]


def _cards(found: NetworkPath) -> list[tuple[str, ...]]:
    """Return a table of the guest's network cards, the headings first."""
    rows = [
        (
            card.name,
            card.network or "cluster",
            card.mac,
            "whole" if card.whole else "not whole",
            card.lease or "none",
            card.heard or "nobody",
            ", ".join(f"{reason} {packets}" for reason, packets in card.dropped.items()) or "nothing",
        )
        for card in found.guest.cards
    ]
    return [("CARD", "NETWORK", "MAC", "TAP", "LEASE SINCE", "ANSWERS ARP", "DROPPED BY THE GUARD"), *rows]
