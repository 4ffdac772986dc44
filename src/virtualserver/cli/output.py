"""What a command prints: columns and sentences for people, JSON and files for programs.

The only module that writes to a terminal, beside the moving line of `progress`: names, annotations and messages are
written by tenants and their guests, so what people read has its control characters escaped. What programs read is
as it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from virtualserver.host.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["as_json", "data", "option", "pairs", "raw", "say", "sentence", "table"]

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


def sentence(text: str) -> str:
    """Return text for people, of several lines where it has them; nothing in it can do anything to a terminal."""
    return visible(text, keep="\n")


def say(text: str = "", *, heading: str = "", colour: str | None = None, err: bool = False) -> None:
    """Print a sentence for people.

    Args:
        text: What is said; line ends are its own.
        heading: What comes before it, in the colour.
        colour: Of the heading, or where there is none, of the text.
        err: On standard error instead of standard output.
    """
    shown = sentence(text)
    if heading:
        click.echo(f"{click.style(heading, fg=colour)} {shown}", err=err)
    else:
        click.echo(click.style(shown, fg=colour) if colour else shown, err=err)


def data(text: str) -> None:
    """Print what a program reads, as it is, on standard output."""
    click.echo(text, nl=False, color=True)  # which changes nothing, whoever reads it


def raw(piece: bytes) -> None:
    """Write bytes as they are on standard output."""
    click.echo(piece, nl=False)


def as_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=2))


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Print headings and what stands beside each, on one line."""
    lines = [(heading, visible(text)) for heading, text in rows]
    width = max((len(heading) for heading, _ in lines), default=0)
    for heading, text in lines:
        click.echo(f"{heading.ljust(width)}   {text}".rstrip())


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns that are as wide as their widest cell; nothing where there is no row."""
    lines = [tuple(visible(cell) for cell in row) for row in rows]
    if not lines:
        return
    widths = [max(len(line[column]) for line in [tuple(headings), *lines]) for column in range(len(headings))]
    for line in (headings, *lines):
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
