"""Talks to an installation's API server with the kubectl that belongs to it, as its users do.

The commands here make a handful of objects once in a while, so they use the same program as everybody: what they send
can be typed by hand.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virtualserver import controlplane
from virtualserver.local.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from virtualserver.installation.installation import Installation

__all__ = ["Kubectl"]

_NO_ANSWER = "was refused - did you specify the right host or port?"


class Kubectl:
    """The kubectl of one installation, with its kubeconfig and a discovery cache of its own.

    kubectl's own cache is per address, and another installation, or a later one, may have had this address: its kinds
    would be unknown.
    """

    def __init__(self, installation: Installation, *, program: Path | None = None) -> None:
        """Find the program.

        Args:
            installation: Whose API server is talked to.
            program: The kubectl to use; None means the one of the installation's control plane.

        Raises:
            LocalError: There is no control plane for this installation yet.
        """
        if program is None:
            programs = controlplane.find(installation)
            if programs is None:
                raise LocalError(
                    f"instance {installation.name!r} has no control plane yet, so there is no kubectl.",
                    remedy="Start it with `vs up` (from a checkout: `make up`).",
                )
            program = programs.kubectl
        if not os.access(installation.kubeconfig, os.R_OK):
            raise LocalError(
                f"{installation.kubeconfig} cannot be read: instance {installation.name!r} was never started, or you "
                "are not the user who started it.",
                remedy="Start it with `vs up`, or call this through sudo.",
            )
        self._command = [
            str(program),
            f"--kubeconfig={installation.kubeconfig}",
            f"--cache-dir={_cache_folder(installation)}",
        ]

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command line."""
        return [*self._command, *arguments]

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl and return what it printed.

        Raises:
            LocalError: kubectl failed; the message is kubectl's own.
        """
        done = subprocess.run(self.command(*arguments), input=stdin, capture_output=True, text=True)
        if done.returncode:
            message = done.stderr.strip() or f"kubectl ended with status {done.returncode}"
            remedy = "Start the instance with `vs up`." if _NO_ANSWER in message else ""
            raise LocalError(f"kubectl {' '.join(arguments[:3])}: {message}", remedy=remedy)
        return done.stdout

    def get(self, kind: str, name: str, *, namespace: str) -> dict[str, Any] | None:
        """Return an object, None where there is none."""
        text = self.run("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def list(self, kind: str, *, namespace: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind, or of several with commas between, in a namespace, or in all of them."""
        where = ["-n", namespace] if namespace else ["-A"]
        return json.loads(self.run("get", kind, *where, "-o", "json"))["items"]

    def apply(self, manifests: Sequence[dict[str, Any]]) -> None:
        """Make objects so, as ``kubectl apply`` does."""
        document = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.run("apply", "-f", "-", stdin=json.dumps(document))


def _cache_folder(installation: Installation) -> Path:
    """Return root's discovery cache in the state folder, and anybody else's in their own home."""
    if os.getuid() == 0:
        return installation.kubectl_cache
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "virtualserver" / installation.name / "kubectl"
