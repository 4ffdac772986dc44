"""``vs metrics``: what `local.metrics` finds, for a monitoring system; docs/cli.md promises names and labels."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from virtualserver.cli import output
from virtualserver.local import caller, metrics

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation

__all__ = ["command"]


@click.command("metrics")
@output.option
@click.pass_obj
def command(installation: Installation, form: str) -> None:
    """Print figures of the instance in Prometheus' text format: servers, pools, and what guests send and may not."""
    caller.require_root("vs metrics")
    found = metrics.of(installation)
    if form == "json":
        output.as_json([dataclasses.asdict(family) for family in found])
    else:
        output.data(metrics.exposition(found))
