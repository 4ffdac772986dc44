"""``python -m virtualserver.node``: the node process of one installation; needs root."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import sys
from typing import TYPE_CHECKING, Final

from virtualserver.controlplane import ControlPlaneError
from virtualserver.fabric.orphans import NamespaceTaken
from virtualserver.host import locks
from virtualserver.host.process import allow_open_files
from virtualserver.host.visible import begin_log
from virtualserver.installation.errors import InstallationError
from virtualserver.installation.installation import Installation
from virtualserver.node import agent
from virtualserver.node.allocation.allocations import AllocationsError

if TYPE_CHECKING:
    from collections.abc import Generator

_logger = logging.getLogger("virtualserver.node")

_OPEN_FILES: Final = 65536
"""A guest takes about ten, with both of its consoles in use; dnsmasq closes as many as there may be when it starts."""


def main() -> int:
    """Run until told to stop; the exit status is 0 then, and 1 with a message where it cannot run at all."""
    begin_log(os.environ.get("VS_LOG_LEVEL", "INFO").upper())
    allow_open_files(_OPEN_FILES)
    # Folders that guests' users pass through say their modes; what is secret does so too.
    os.umask(0o022)
    installation = Installation.from_environment()
    if "--instance" in sys.argv[1:-1]:
        installation = dataclasses.replace(installation, name=sys.argv[sys.argv.index("--instance") + 1])
    if os.geteuid() != 0:
        _logger.error("the node starts machines and changes the network: run it as root")
        return 1
    is_early = "--wait" in sys.argv[1:]  # what we need is there once our standard input ends
    try:
        with _alone(installation):
            asyncio.run(agent.run(installation, sys.stdin.fileno() if is_early else None))
    except (InstallationError, NamespaceTaken, AllocationsError, ControlPlaneError) as error:
        _logger.error("%s", error)
        return 1
    return 0


@contextlib.contextmanager
def _alone(installation: Installation) -> Generator[None]:
    """Keep every other node off an installation: two would start each machine twice, and undo what the other did.

    Raises:
        InstallationError: There is no such installation, or another node of it runs.
    """
    path = installation.node_lock

    def wait(pid: int | None) -> None:
        _logger.info("%s: %s holds it: waiting until that has ended", path, _whom(pid))

    try:
        descriptor = locks.take_soon(path, wait)
    except FileNotFoundError as error:
        raise InstallationError(f"{installation.state}: there is no instance: start it with `vs up`") from error
    if descriptor is None:
        pid = locks.holder(path)
        raise InstallationError(
            f"{path}: another node of {installation.name}, {_whom(pid)}, runs already: this one does nothing; "
            "`vs down` ends that one too"
        )
    try:
        yield
    finally:
        os.close(descriptor)


def _whom(pid: int | None) -> str:
    return f"PID {pid}" if pid else "a process that is not to be seen from here"


if __name__ == "__main__":
    sys.exit(main())
