"""The operator's process: connects, waits for the Lease, follows all kinds and reconciles until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.api.faults import InvalidManifest
from virtualserver.api.mac import MacKey
from virtualserver.host import locks
from virtualserver.host.files import write_atomically
from virtualserver.host.followed import Followed
from virtualserver.host.pulse import Pulse
from virtualserver.host.visible import begin_log
from virtualserver.kube.aside import Aside
from virtualserver.kube.cache import Cache
from virtualserver.kube.client import Client
from virtualserver.kube.controller import Controller, Oversight, Subject
from virtualserver.kube.events import Recorder
from virtualserver.kube.kubeconfig import KubeconfigError
from virtualserver.kube.lease import Lease, LeaseLost
from virtualserver.kube.objects import key_of
from virtualserver.kube.queue import Queue
from virtualserver.operator import watches
from virtualserver.operator.kinds import VIRTUAL_SERVER
from virtualserver.operator.reconciler import Reconciler
from virtualserver.plan import sites

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from virtualserver.kube.objects import Key, Resource
    from virtualserver.kube.store import Change
    from virtualserver.plan.sites.site import Site

__all__ = ["main", "operate"]

_logger = logging.getLogger(__name__)

LEASE_NAMESPACE: Final = "kube-system"
LEASE_NAME: Final = "virtualserver-operator"
WORKERS: Final = 8
RESYNC_SECONDS: Final = 600.0
"""Every server is looked at this often even if nothing changed: a safety net, which writes nothing."""


async def operate(
    client: Client,
    site: Followed[Site],
    mac_key: MacKey,
    *,
    announce: Callable[[], None],
    resync_seconds: float = RESYNC_SECONDS,
    oversight: Oversight | None = None,
) -> None:
    """Reconcile all servers until cancelled; the caller holds the Lease.

    Args:
        client: An entered client.
        site: The site profile; every server is looked at again when it changes.
        mac_key: From which the MAC addresses follow that nobody chose.
        announce: Called once, when everything that exists is known and reconciling begins.
        resync_seconds: How often every server is looked at without a reason.
        oversight: None where nobody watches the process.
    """
    queue: Queue[Key] = Queue()
    cache = Cache(client, watches.watches(mac_key))
    recorder = Recorder(client, component=names.OPERATOR_MANAGER)
    reconciler = Reconciler(client, cache, site, mac_key, recorder, queue)

    def servers() -> list[Key]:
        return [key_of(server) for server in cache.all(VIRTUAL_SERVER)]

    controller = Controller(
        name="virtualserver",
        reconcile=reconciler.reconcile,
        queue=queue,
        workers=WORKERS,
        resync_seconds=resync_seconds,
        all_keys=servers,
        subject=Subject(find=lambda key: cache.get(VIRTUAL_SERVER, key), tell=reconciler.tell),
        oversight=oversight,
    )

    def receive(resource: Resource, change: Change) -> None:
        for key in watches.concerned(cache, mac_key, resource, change):
            queue.add(key, background=resource not in watches.AWAITED)

    async def follow_site() -> None:
        async for found in site.changes():
            if isinstance(found, Exception):
                _logger.error("%s: what held before goes on holding", found)
                continue
            _logger.info("the site profile has changed, every server is looked at")
            for key in servers():
                queue.add(key)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(cache.run(receive))
        # Nothing is written before everything that exists is known: what seems missing might only be unread.
        await cache.synced()
        _logger.info("everything is known, reconciling %d servers", len(servers()))
        tasks.create_task(recorder.run())
        tasks.create_task(controller.run())
        tasks.create_task(follow_site())
        announce()


async def run(kubeconfig: Path, site: Followed[Site], mac_key: MacKey, ready_file: Path, *, identity: str) -> None:
    """Hold the Lease and operate, until SIGTERM or SIGINT; where the Lease is lost, stop, and wait for it again.

    An API server that is away for long costs the Lease, and everything that was known: all is read anew.

    Args:
        kubeconfig: Whom to connect to, and as whom.
        site: The site profile.
        mac_key: From which MAC addresses follow.
        ready_file: Written, with our PID, once we reconcile.
        identity: Names the holder of the Lease. No other living process has it, so that a Lease of this identity is a
            dead process's: it is taken over at once instead of when it runs out.
    """
    work = asyncio.current_task()
    assert work is not None  # noqa: S101 - a coroutine that runs has its task
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    pulse = Pulse(ready_file.with_name("pulse"))
    oversight = Oversight(pulse, Aside(ready_file.parent))

    def announce() -> None:
        write_atomically(ready_file, f"{os.getpid()}\n", mode=0o644)

    async with pulse.beating(), Client.from_kubeconfig(kubeconfig, user_agent=names.OPERATOR_MANAGER) as client:
        while True:
            try:
                async with Lease.hold(client, namespace=LEASE_NAMESPACE, name=LEASE_NAME, identity=identity):
                    await operate(client, site, mac_key, announce=announce, oversight=oversight)
            except LeaseLost as error:
                _logger.error("%s", error)
                _withdraw(ready_file)


def _withdraw(ready_file: Path) -> None:
    """Say that we do not reconcile any more."""
    ready_file.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator as its arguments say, and return its exit status.

    The folder of ``--ready-file`` belongs to the operators of one ``--identity``: a lock in it makes sure that one of
    them runs at a time.
    """
    options = _parser().parse_args(arguments)
    if options.wait:
        sys.stdin.buffer.read()
    begin_log()
    lock_file: Path = options.ready_file.with_name("lock")
    lock = locks.take_soon(lock_file, lambda pid: _logger.info("%s: PID %s holds it: waiting", lock_file, pid))
    if lock is None:
        pid = locks.holder(lock_file)
        said = "%s: another operator with the identity %s, PID %s, runs already"
        _logger.error(said, lock_file, options.identity, pid)
        return 1
    try:
        mac_key = _mac_key(options.mac_key)
        site = Followed(options.site, lambda: _site(options.site))
        with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
            asyncio.run(run(options.kubeconfig, site, mac_key, options.ready_file, identity=options.identity))
    except (_UnreadableFile, KubeconfigError) as error:
        _logger.error("%s", error)
        return 1
    finally:
        os.close(lock)
    return 0


class _UnreadableFile(ValueError):
    """A file that the operator is told to read cannot be used; the message names it and what to do."""


def _mac_key(path: Path) -> MacKey:
    try:
        return MacKey.decode(path.read_bytes())
    except OSError as error:
        raise _UnreadableFile(f"{path}: cannot be read: {error.strerror}: run `vs up`, which writes it") from error
    except ValueError as error:
        raise _UnreadableFile(f"{path}: {error}") from error


def _site(path: Path) -> Site:
    try:
        return sites.load(path.read_text())
    except OSError as error:
        raise _UnreadableFile(f"{path}: cannot be read: {error.strerror}") from error
    except InvalidManifest as error:
        raise _UnreadableFile(f"{path}: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m virtualserver.operator", description="Makes VirtualServers come true."
    )
    add = parser.add_argument
    add("--kubeconfig", type=Path, required=True, metavar="FILE", help="whom to connect to, and as whom")
    add("--site", type=Path, required=True, metavar="FILE", help="the site profile")
    add("--mac-key", type=Path, required=True, metavar="FILE", help="the secret from which MAC addresses follow")
    add("--ready-file", type=Path, required=True, metavar="FILE", help="gets the PID once servers are reconciled")
    add("--identity", required=True, help="names the holder of the Lease; one operator at a time has it")
    add("--wait", action="store_true", help="begin when standard input ends")
    return parser
