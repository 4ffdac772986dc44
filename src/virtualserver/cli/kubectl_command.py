"""``vs kubectl``: the kubectl that belongs to the control plane, with this instance's kubeconfig."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from virtualserver.cli.kubectl import Kubectl

if TYPE_CHECKING:
    from virtualserver.instance import Instance

__all__ = ["command"]


@click.command("kubectl", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(instance: Instance, arguments: tuple[str, ...]) -> None:
    """Run kubectl against this instance: vs kubectl get vs -w."""
    line = Kubectl(instance).command(*arguments)
    sys.stdout.flush()
    os.execv(line[0], line)  # noqa: S606 - no shell is wanted: kubectl takes this process's place
