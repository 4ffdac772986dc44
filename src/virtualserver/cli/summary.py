"""What ``vs up`` says in the end: the same facts for people and for scripts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from virtualserver.cli import hello, status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtualserver.installation.installation import Installation

__all__ = ["IMAGE_PLAN", "of", "text"]

IMAGE_PLAN = "guest image: about 130 MB of Debian packages, built into an image of 0.4 GB in about 2 minutes"
"""What building the first server's image takes; measured in docs/measurements.md."""


def of(installation: Installation, *, server: hello.Reachable | None) -> dict[str, Any]:
    """Return how the installation and its first server are reached, and what a newcomer should know about both."""
    found = status.of(installation)
    configuration = installation.ssh / "config"
    servers: list[dict[str, Any]] = []
    if server is not None:
        servers.append(
            {
                "name": server.name,
                "address": server.address,
                "state": server.state,
                "answers": server.answers,
                "ssh": f"ssh -F {configuration} {server.name}" if server.answers else "",
                "url": server.url if server.answers else "",
            }
        )
    return {
        "instance": installation.name,
        "kubeconfig": found["kubeconfig"],
        "path": str(installation.commands),
        "servers": servers,
        "accelerator": found["accelerator"],
        "blockers": found["blockers"],
        "stop": "vs down",
    }


def text(result: dict[str, Any]) -> str:
    """Return the result for people."""
    return "\n".join(_lines(result))


def _lines(result: dict[str, Any]) -> Iterator[str]:
    for server in result["servers"]:
        yield ""
        if server["answers"]:
            yield f"Server {server['name']} answers (its address is reachable from this machine only):"
            yield f"  address   {server['address']}"
            yield f"  log in    {server['ssh']}"
            yield f"  page      {server['url']}"
        else:
            yield f"Server {server['name']} is not running: {server['state']}"
    yield ""
    yield "Use it as any cluster (kubectl get vs, kubectl explain vs.spec.network):"
    yield f"  export KUBECONFIG={result['kubeconfig']} PATH=$PATH:{result['path']}"
    yield ""
    stop = "make down" if os.environ.get("VS_FROM_MAKE") else "vs down"
    yield f"Stop it with `{stop}`; disks and objects stay. After a reboot, start it again the same way as now."
    if result["accelerator"]["name"] == "tcg":
        yield f"Without KVM ({result['accelerator']['reason']}) guests run about 20 times slower."
    for blocker in result["blockers"]:
        yield f"A firewall of this machine is in the way: {blocker['where']}: {blocker['reason']}"
        yield f"  {blocker['remedy']}"
