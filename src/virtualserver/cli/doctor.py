"""``vs doctor``: what `local.doctor` finds, a line each."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from virtualserver.cli import output
from virtualserver.local.doctor import Level, findings

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation

__all__ = ["command"]

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "red"}


@click.command("doctor")
@output.option
@click.pass_context
def command(context: click.Context, form: str) -> None:
    """Check this machine for `vs up`: programs, KVM, memory, ports, networks, firewalls; exit 1 when it cannot work."""
    installation: Installation = context.obj
    found = list(findings(installation))
    if form == "json":
        output.as_json([dataclasses.asdict(finding) for finding in found])
    else:
        for finding in found:
            heading = f"{finding.level:9}{finding.subject:19}"
            output.say(finding.found, heading=heading, colour=_COLOURS[finding.level])
            if finding.remedy:
                output.say(f"{'':9}{'':20}{finding.remedy}")
    if any(finding.level is Level.FAILED for finding in found):
        context.exit(1)
