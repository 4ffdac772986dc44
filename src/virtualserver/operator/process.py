"""The operator's process: connects, waits for the Lease, follows all kinds and reconciles until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import fcntl
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.host.files import write_atomically
from virtualserver.installation.installation import Installation
from virtualserver.kube.client import Client
from virtualserver.kube.controller import Controller
from virtualserver.kube.events import Recorder
from virtualserver.kube.lease import Lease, LeaseLost
from virtualserver.operator.reconciler import Reconciler
from virtualserver.operator.world import World
from virtualserver.plan.sites.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from virtualserver.kube.objects import Key

__all__ = ["main", "operate", "site_of"]

_logger = logging.getLogger(__name__)

LEASE_NAMESPACE: Final = "kube-system"
LEASE_NAME: Final = "virtualserver-operator"
WORKERS: Final = 8
RESYNC_SECONDS: Final = 600.0
"""Every server is looked at this often even if nothing changed: a safety net, which writes nothing."""


async def operate(
    client: Client,
    site: Site,
    *,
    resync_seconds: float = RESYNC_SECONDS,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Reconcile all servers until cancelled; the caller holds the Lease.

    Args:
        client: An entered client.
        site: The site profile.
        resync_seconds: How often every server is looked at without a reason.
        on_ready: Called once everything that exists is known and reconciling begins.
    """
    controller: Controller[Key]

    def concern(key: Key) -> None:
        controller.queue.add(key)

    world = World(concern)
    recorder = Recorder(client, component="virtualserver-operator")
    reconciler = Reconciler(client, world, site, recorder)
    controller = Controller(
        name="virtualserver",
        reconcile=reconciler.reconcile,
        workers=WORKERS,
        resync_seconds=resync_seconds,
        all_keys=world.keys,
    )
    reflectors = world.reflectors(client)
    async with asyncio.TaskGroup() as tasks:
        for reflector, handler in reflectors.items():
            tasks.create_task(reflector.run(handler))
        # Nothing is written before everything that exists is known: what seems missing might only be unread.
        await asyncio.gather(*(reflector.synced.wait() for reflector in reflectors))
        _logger.info("everything is known, reconciling %d servers", len(world.keys()))
        tasks.create_task(recorder.run())
        tasks.create_task(controller.run())
        on_ready()


def site_of(installation: Installation) -> Site:
    """Return the site profile of an installation, from what it recorded about itself."""
    ranges = installation.record().ranges
    return Site(pools=frozenset((*ranges.public, *ranges.private))) if ranges else Site()


@contextlib.contextmanager
def alone(folder: Path) -> Generator[str]:
    """Be the only operator that has this folder while the context lasts, and yield the identity that follows from it.

    The kernel lets go of the lock at the latest when its holder has died. So whoever has it knows that a Lease of this
    identity is a dead process's, and takes it over at once instead of waiting until it runs out.

    Args:
        folder: The installation's folder for the operator's run files.

    Raises:
        BlockingIOError: Another operator runs.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield f"{socket.gethostname()}:{folder}"
    finally:
        os.close(descriptor)


async def run(kubeconfig: Path, site: Site, ready: Path, *, identity: str) -> None:
    """Hold the Lease and operate, until SIGTERM or SIGINT.

    Args:
        kubeconfig: Whom to connect to, and as whom.
        site: The site profile.
        ready: The file that tells the supervisor that we reconcile; its folder is ours.
        identity: Names the holder of the Lease; see `alone`.

    Raises:
        LeaseLost: It could not be kept, so the work was stopped.
    """
    work = asyncio.current_task()
    assert work is not None  # noqa: S101 - a coroutine that runs has its task
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    async with (
        Client.from_kubeconfig(kubeconfig, user_agent="virtualserver-operator") as client,
        Lease.hold(client, namespace=LEASE_NAMESPACE, name=LEASE_NAME, identity=identity),
    ):
        await operate(client, site, on_ready=lambda: write_atomically(ready, f"{os.getpid()}\n", mode=0o644))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator of the installation that ``VS_INSTANCE`` and ``VS_STATE`` name; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m virtualserver.operator", description="Makes VirtualServers come true."
    )
    parser.add_argument("--kubeconfig", type=Path, help="default: the instance's own for the operator")
    parser.add_argument("--instance", help="default: VS_INSTANCE; shows whose process this is")
    parser.add_argument("--wait", action="store_true", help="begin when standard input ends")
    options = parser.parse_args(arguments)
    if options.wait:
        sys.stdin.buffer.read()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    installation = Installation.from_environment()
    if options.instance:
        installation = dataclasses.replace(installation, name=options.instance)
    kubeconfig = options.kubeconfig or installation.kubeconfigs / "operator"
    folder = installation.run_of("operator")
    try:
        with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt), alone(folder) as identity:
            asyncio.run(run(kubeconfig, site_of(installation), folder / "ready", identity=identity))
    except BlockingIOError:
        _logger.error("%s: another operator of instance %r runs already", folder, installation.name)
        return 1
    except LeaseLost as error:
        _logger.error("%s", error)
        return 1
    return 0
