"""``vs version``: what is installed, and what it runs."""

from __future__ import annotations

import platform

import click

import virtualserver
from virtualserver import controlplane
from virtualserver.cli import output

__all__ = ["command"]


@click.command("version")
@output.option
def command(form: str) -> None:
    """Print the versions of the program and of what it runs."""
    versions = {
        "virtualserver": virtualserver.__version__,
        "kubernetes": controlplane.KUBERNETES_VERSION,
        "etcd": controlplane.ETCD_VERSION,
        "python": platform.python_version(),
    }
    if form == "json":
        output.as_json(versions)
        return
    for name, value in versions.items():
        output.say(f"{name} {value}")
