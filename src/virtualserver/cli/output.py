"""A command's result on standard output: columns for people, JSON for scripts, and nothing else beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["as_json", "option", "table"]

option = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the result is printed on standard output.",
)
"""The ``-o`` of every command that prints something."""


def as_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=2))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns that are as wide as their widest cell; nothing where there is no row."""
    lines = [tuple(row) for row in rows]
    if not lines:
        return
    widths = [max(len(line[column]) for line in [tuple(headings), *lines]) for column in range(len(headings))]
    for line in (headings, *lines):
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
