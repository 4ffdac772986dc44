"""``vs kubectl``: the kubectl that belongs to the control plane, with this installation's kubeconfig."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from virtualserver.local.kubectl import Kubectl

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation

__all__ = ["command"]


@click.command("kubectl", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(installation: Installation, arguments: tuple[str, ...]) -> None:
    """Run kubectl against this instance: vs kubectl get vs -w."""
    line = Kubectl(installation).command(*arguments)
    sys.stdout.flush()
    os.execv(line[0], line)  # noqa: S606 - no shell is wanted: kubectl takes this process's place
