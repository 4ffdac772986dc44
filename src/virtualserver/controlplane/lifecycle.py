"""Start, look at and stop the control plane of an installation."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import shutil
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec

from virtualserver.controlplane import audit, credentials, errors, pki, site, sources, supervisor
from virtualserver.controlplane.options import Options
from virtualserver.controlplane.supervisor import control, logs, processes
from virtualserver.host import locks, process
from virtualserver.installation import lock, mac_key, ports, users
from virtualserver.installation.record import ControlPlaneSettings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from virtualserver.controlplane.programs import Programs
    from virtualserver.host.progress import Update
    from virtualserver.installation.installation import Installation

__all__ = ["ComponentStatus", "ControlPlaneStatus", "address_of", "launch", "resume", "start", "status", "stop"]

_START_LIMIT: Final = 180.0
_END_LIMIT: Final = 90.0
"""Seconds that a supervisor may take to end, with its components, once it is told to."""
_LET_GO_LIMIT = 15.0
"""Seconds that a supervisor which does not answer may take to end."""
_GIVE_UP_AFTER: Final = 3
"""Restarts of a component during a start before the start is given up."""


@dataclasses.dataclass(frozen=True, slots=True)
class ComponentStatus:
    """How one component is.

    Attributes:
        name: One of `options.NAMES`.
        pid: None while it does not run.
        version: Its release.
        ready: Whether it does its work.
        restarts: How often this supervisor started it again.
        last_error: How it ended last; ``""`` where it never did.
        log: Its output.
        trouble: What is wrong with it while it runs, for people; ``""`` for nothing.
    """

    name: str
    pid: int | None
    version: str
    ready: bool
    restarts: int
    last_error: str
    log: Path
    trouble: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ControlPlaneStatus:
    """How the control plane of an installation is.

    Attributes:
        running: Whether a supervisor lives.
        ready: Whether every component is ready and the manifests are applied.
        url: The API server's address; ``""`` before the first start.
        kubeconfig: The administrator's kubeconfig.
        supervisor_pid: None where none lives. Where nothing is said to run, it is a supervisor that has this data and
            answers in another run folder, or is just beginning or ending.
        components: In the order of their start.
        waiting_for: What is not ready yet, for people; ``""`` when ready or not running.
        refused: Why our definitions cannot be applied, ``""`` where nothing speaks against it.
        site_trouble: What of site.yaml could not be carried out, in words; it is tried again. ``""`` for nothing.
        database: Why users may not write what they like, and who holds most; ``""`` where they may.
    """

    running: bool
    ready: bool
    url: str
    kubeconfig: Path
    supervisor_pid: int | None
    components: tuple[ComponentStatus, ...]
    waiting_for: str
    refused: str = ""
    site_trouble: str = ""
    database: str = ""


def status(installation: Installation) -> ControlPlaneStatus:
    """Return how the control plane is, also where it does not run."""
    answer = control.ask(installation.socket, "status")
    port = installation.record().ports.get("kube-apiserver")
    url = f"https://127.0.0.1:{port}" if port else ""
    if answer is None:
        left = processes.Records(installation.processes).all() if installation.processes.exists() else {}
        other = locks.holder(installation.supervisor_lock)
        why = "its supervisor has ended" if other is None else f"its supervisor, PID {other}, does not answer"
        found = tuple(
            ComponentStatus(name, part.pid, "", False, 0, why, installation.log(name)) for name, part in left.items()
        )
        return ControlPlaneStatus(False, False, url, installation.kubeconfig, other, found, "")
    known = tuple(
        ComponentStatus(**msgspec.structs.asdict(part), log=installation.log(part.name)) for part in answer.components
    )
    waiting = [f"{part.name} ({part.trouble})" if part.trouble else part.name for part in known if not part.ready]
    if not waiting and not answer.bootstrapped:
        waiting = ["the API's definitions"]
    refused = "" if answer.bootstrapped else answer.bootstrap_error
    return ControlPlaneStatus(
        running=True,
        ready=not waiting,
        url=url,
        kubeconfig=installation.kubeconfig,
        supervisor_pid=answer.pid,
        components=known,
        waiting_for=", ".join(waiting),
        refused=refused,
        site_trouble=answer.site_trouble,
        database=answer.database,
    )


def address_of(installation: Installation) -> str:
    """Return the URL at which users reach the API server, ``""`` before the first start.

    It names the address that the relay listens on, where there is one; loopback otherwise.
    """
    record = installation.record()
    port = record.ports.get("kube-apiserver")
    listen = Options.decode(record.controlplane.options).listen if record.controlplane else None
    host = "127.0.0.1" if listen is None else f"[{listen}]" if listen.version == 6 else str(listen)
    return f"https://{host}:{port}" if port else ""


def start(
    installation: Installation,
    programs: Programs,
    *,
    options: Options | None = None,
    admin: tuple[int, int] | None = None,
    progress: Update = lambda what, share: None,
) -> ControlPlaneStatus:
    """Start the control plane, or what of it does not run; return its status once all of it is ready. Idempotent.

    Args:
        installation: The installation.
        programs: What to run.
        options: What its owner chose; None: as recorded at the last start, else the defaults.
        admin: UID and GID of whom the administrator's kubeconfig belongs to; None: this process's.
        progress: Told what is waited for.

    Raises:
        ControlPlaneError: A port is taken, a folder cannot be reached by the components' users, or a component does
            not get ready; what this call started is stopped again then.
    """
    with lock.held(installation, progress):
        installation.create()
        chosen = options or _last_options(installation)
        settings = ControlPlaneSettings(str(programs.folder.resolve()), chosen.encode(), sources.version())
        running = control.ask(installation.socket, "status")
        if running and running.settings == msgspec.to_builtins(settings) and not running.stopping:
            return _wait_ready(installation, progress)
        if running:
            control.ask(installation.socket, "stop" if running.stopping else "detach")
        os.close(_take_lock(installation, progress, limit_seconds=_END_LIMIT if running else None))
        _prepare(installation, programs, chosen, admin)
        with installation.changing() as record:
            record.controlplane = settings
        try:
            launch(installation)
            return _wait_ready(installation, progress)
        except BaseException:
            stop(installation)
            raise


def stop(
    installation: Installation, *, progress: Update = lambda what, share: None, limit_seconds: float = _END_LIMIT
) -> None:
    """Stop every component in order, whether or not its supervisor lives; idempotent.

    Args:
        installation: The installation.
        progress: Told what is waited for.
        limit_seconds: How long the components may take altogether.

    Raises:
        ControlPlaneError: Something still runs after the limit.
    """
    strays = processes.strays(installation)
    if not installation.state.exists() and not installation.run.exists() and not strays:
        return
    with lock.held(installation, progress), _lasting(installation.state):
        answers = control.ask(installation.socket, "stop") is not None
        if not answers and "supervisor" in strays:  # whose socket was lost, or which stands still
            process.end(strays["supervisor"])
        descriptor = _take_lock(installation, progress, limit_seconds=limit_seconds if answers else None)
        try:
            supervisor.stop_all(installation)  # what a killed supervisor left
            for path in (
                installation.processes,
                *map(installation.run_of, ("operator", "node", "console", "links", "relay")),
            ):
                shutil.rmtree(path, ignore_errors=True)
            installation.socket.unlink(missing_ok=True)
            installation.supervisor_lock.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                installation.run.rmdir()  # others keep theirs in it too
        finally:
            os.close(descriptor)


def _take_lock(installation: Installation, progress: Update, *, limit_seconds: float | None) -> int:
    """Wait until no supervisor of this data lives, take its lock and return the descriptor.

    Args:
        installation: The installation.
        progress: Told what is waited for.
        limit_seconds: How long one that was told to end may take; None: none answers here, so that one which has this
            data all the same is waited for only while it may be ending.

    Raises:
        ControlPlaneError: There is one still: two would work on one etcd.
    """
    limit = _LET_GO_LIMIT if limit_seconds is None else limit_seconds
    end = time.monotonic() + limit
    while True:
        # One whose state folder was lost has no lock to see, but answers.
        descriptor = None if control.ask(installation.socket, "status") else locks.take(installation.supervisor_lock)
        if descriptor is not None:
            return descriptor
        left = ", ".join(reversed(processes.Records(installation.processes).all()))
        if time.monotonic() > end and limit_seconds is not None:
            raise errors.ControlPlaneError(
                f"the supervisor has not ended after {limit:.0f} s; left: {left}: see {installation.log('supervisor')}"
            )
        if time.monotonic() > end:
            pid = locks.holder(installation.supervisor_lock)
            raise errors.ControlPlaneError(
                f"{installation.supervisor_lock}: a supervisor{f' (PID {pid})' if pid else ''} runs on this data and "
                f"does not answer in {installation.run}: it stands still, or was started with another run folder: "
                "stop it where it was started (vs down), or choose another folder with VS_STATE"
            )
        progress("waiting for the supervisor to end" + (f"; there are {left}" if left else ""), None)
        time.sleep(0.05)


@contextlib.contextmanager
def _lasting(state: Path) -> Generator[None]:
    """Have the state folder for the time of a stop, also where it was lost while processes go on."""
    lost = not state.exists()
    state.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        yield
    finally:
        if lost:
            shutil.rmtree(state)


def _last_options(installation: Installation) -> Options:
    recorded = installation.record().controlplane
    return Options.decode(recorded.options) if recorded else Options()


def _prepare(installation: Installation, programs: Programs, options: Options, admin: tuple[int, int] | None) -> None:
    uids = users.recorded(installation)
    chosen = ports.recorded(installation)
    own = [process.pid for process in processes.Records(installation.processes).all().values()]
    listen = str(options.listen) if options.listen else ""
    faults = ports.faults(chosen, address=options.bind, own=own, record=installation.record_file, listen=listen)
    faults += [
        fault for path in (installation.state, installation.run, programs.folder) for fault in _unreachable(path)
    ]
    if faults:
        raise errors.ControlPlaneError("\n".join(faults))
    credentials.ensure(
        installation,
        uids,
        server=f"https://127.0.0.1:{chosen['kube-apiserver']}",
        addresses=options.served,
        now=datetime.datetime.now(datetime.UTC),
        admin=admin,
    )
    policy = audit.policy(components=credentials.COMPONENTS_GROUP)
    pki.write_private(installation.pki / "kube-apiserver/audit-policy.json", policy, owner=uids.kube_apiserver)
    site.renew(installation)
    owners = {
        installation.etcd_data: uids.etcd,
        installation.audit: uids.kube_apiserver,
        installation.run_of("operator"): uids.operator,
        installation.run_of("console"): uids.console,
        installation.console_socket.parent: uids.console,
        installation.run_of("relay"): uids.relay,
    }
    for folder, owner in {**owners, installation.run_of("node"): 0}.items():
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, owner, owner)
    installation.console_socket.parent.chmod(0o711)  # everybody may ask there for a link
    mac_key.hand_over(installation.state, installation.operator_mac_key, uids.operator)


def _unreachable(path: Path) -> list[str]:
    """Return a sentence for the first folder on the way that unprivileged users cannot enter, if any."""
    for folder in reversed([path.resolve(), *path.resolve().parents]):
        if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH:
            return [
                f"{folder}: other users cannot enter it, but the control plane, which runs without root's rights, must "
                f"reach {path}: choose another folder, or `chmod o+x {folder}`"
            ]
    return []


def launch(installation: Installation) -> None:
    """Start the supervisor, detached."""
    environment = {**os.environ, **installation.environment()}
    environment.pop(processes.TOKEN, None)  # of the component that we may be
    if os.environ.get("PYTHONPATH"):  # the supervisor's working directory is not ours
        entries = os.environ["PYTHONPATH"].split(os.pathsep)
        environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in entries)
    with installation.log("supervisor").open("ab") as log:
        installation.log("supervisor").chmod(0o600)
        subprocess.run(
            [sys.executable, "-m", "virtualserver.controlplane"],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=True,
        )


def resume(installation: Installation) -> bool:
    """Start the supervisor again where it has ended without being told to, and return whether that was so.

    Its components go on, and are adopted. Called by the node; an installation without one is left alone.
    """
    with lock.if_free(installation) as is_free:
        if not is_free or "node" not in _last_options(installation).components:
            return False
        descriptor = locks.take(installation.supervisor_lock)
        if descriptor is None:
            return False
        os.close(descriptor)
        launch(installation)
        return True


def _wait_ready(installation: Installation, progress: Update) -> ControlPlaneStatus:
    began = time.monotonic()
    while True:
        now = status(installation)
        if now.ready:
            return now
        waited = time.monotonic() - began
        failed = [part for part in now.components if not part.ready and part.restarts >= _GIVE_UP_AFTER]
        if failed:
            raise errors.ControlPlaneError("\n".join(f"{part.name} {part.last_error}" for part in failed))
        if now.refused:
            raise errors.ControlPlaneError(f"kube-apiserver refuses a definition of ours: {now.refused}")
        if waited > _START_LIMIT or (not now.running and waited > 20):
            what = now.waiting_for or f"the supervisor: {logs.last_line(installation.log('supervisor'))}"
            raise errors.ControlPlaneError(
                f"not ready after {waited:.0f} s, waiting for {what}: see the logs in {installation.logs}"
            )
        progress(f"waiting for {now.waiting_for or 'the supervisor'}", None)
        time.sleep(0.05)
