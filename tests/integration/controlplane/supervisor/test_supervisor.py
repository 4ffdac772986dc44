"""The life of an installation: kills, adoption, two at once, ports in use, a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import control_plane as plane
from harness.waiting import eventually, until
from virtualserver import controlplane
from virtualserver.controlplane import errors, keeper, lifecycle
from virtualserver.controlplane.supervisor import probes, processes
from virtualserver.host import watchdog
from virtualserver.installation import lock

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from virtualserver.installation.installation import Installation

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager")


@pytest.fixture(scope="module")
def running() -> Iterator[plane.ControlPlane]:
    """An installation that tests of this module may treat badly; each leaves it ready."""
    with plane.an_installation("rough") as installation:
        yield plane.start(installation)


def pids(installation: Installation) -> dict[str, int]:
    """Return the PIDs of the components as their records, not the supervisor, have them."""
    return {name: process.pid for name, process in processes.Records(installation.processes).all().items()}


def _without_node(found: dict[str, int]) -> dict[str, int]:
    """Leave out the node, which a supervisor that was told of one starts as soon as all else is ready."""
    return {name: pid for name, pid in found.items() if name != "node"}


def start_without_node(running: plane.ControlPlane) -> None:
    """Start the control plane anew, with what is recorded again."""
    controlplane.stop(running.installation)
    controlplane.start(running.installation, plane.programs())


def mentioning(text: str) -> list[int]:
    """Return the PIDs of all processes whose command line or environment holds a text."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in seen and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_killed_component_is_started_again_alone(running: plane.ControlPlane, name: str) -> None:
    before = pids(running.installation)
    os.kill(before[name], signal.SIGKILL)
    eventually(lambda: pids(running.installation).get(name) not in (None, before[name]), what=f"{name} runs again")
    eventually(lambda: controlplane.status(running.installation).ready, what="all is ready again")
    after = pids(running.installation)
    assert {other: after[other] for other in COMPONENTS if other != name} == {
        other: before[other] for other in COMPONENTS if other != name
    }
    running.kubectl("create", "configmap", f"after-{name}")
    killed = next(part for part in controlplane.status(running.installation).components if part.name == name)
    assert killed.restarts >= 1
    assert "SIGKILL" in killed.last_error


def test_an_api_server_that_is_asked_to_end_is_back_in_seconds_though_it_is_watched(
    running: plane.ControlPlane,
) -> None:
    """Fault 35: it waited a minute and more for watches to end."""
    before = pids(running.installation)["kube-apiserver"]
    watching = [
        subprocess.Popen(
            [running.kubectl_path, f"--kubeconfig={running.kubeconfig}", "get", kind, "-A", "-w"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for kind in ("configmaps", "secrets")
    ]
    try:
        running.kubectl("get", "namespaces")
        began = time.monotonic()
        os.kill(before, signal.SIGTERM)
        eventually(lambda: pids(running.installation).get("kube-apiserver") not in (None, before), what="it runs again")
        eventually(lambda: controlplane.status(running.installation).ready, what="all is ready again")
        took = time.monotonic() - began
    finally:
        for process in watching:
            process.kill()
            process.wait()
    print(f"kube-apiserver was away for {took:.1f} s")
    assert took < 30  # 10 s on a quiet machine; a minute and more where watches hold it up


def test_a_new_supervisor_adopts_what_a_killed_one_left(running: plane.ControlPlane) -> None:
    before = pids(running.installation)
    supervisor = controlplane.status(running.installation).supervisor_pid
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not controlplane.status(running.installation).running, what="the supervisor is gone")
    running.kubectl("get", "namespaces")  # the API does not need it
    os.kill(before["kube-controller-manager"], signal.SIGKILL)  # while nobody looks
    status = controlplane.start(running.installation, plane.programs())
    after = pids(running.installation)
    assert status.ready
    assert status.supervisor_pid != supervisor
    assert after["etcd"] == before["etcd"]
    assert after["kube-apiserver"] == before["kube-apiserver"]
    assert after["kube-controller-manager"] != before["kube-controller-manager"]


@contextlib.contextmanager
def having_a_node(installation: Installation) -> Generator[None]:
    """Record that the supervisor keeps a node too, which here is this process."""
    with installation.changing() as record:
        assert record.controlplane
        record.controlplane.options.components.append("node")
    try:
        yield
    finally:
        with installation.changing() as record:
            assert record.controlplane
            record.controlplane.options.components.remove("node")


def test_a_supervisor_that_ended_is_resumed_once_where_a_node_runs_and_nobody_changes_it(
    running: plane.ControlPlane,
) -> None:
    before = pids(running.installation)
    supervisor = controlplane.status(running.installation).supervisor_pid
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not controlplane.status(running.installation).running, what="the supervisor is gone")
    assert not lifecycle.resume(running.installation), "no node, so it is not ours to keep"
    with having_a_node(running.installation):
        with lock.held(running.installation):
            assert not lifecycle.resume(running.installation), "a `vs` knows better"
        assert lifecycle.resume(running.installation)
        eventually(lambda: controlplane.status(running.installation).running, what="it answers")
        assert not lifecycle.resume(running.installation), "one is enough"
    assert _without_node(pids(running.installation)) == before
    start_without_node(running)


async def test_the_node_ends_a_supervisor_that_somebody_has_stopped_and_starts_another_one(
    running: plane.ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "LIMIT_SECONDS", 3.0)
    before = pids(running.installation)
    first = controlplane.status(running.installation).supervisor_pid
    assert first
    with having_a_node(running.installation):
        keeping = asyncio.create_task(keeper.keep_supervisor(running.installation))
        try:
            os.kill(first, signal.SIGSTOP)

            def replaced() -> bool:
                now = controlplane.status(running.installation)
                return now.running and now.supervisor_pid != first

            await until(lambda: asyncio.to_thread(replaced), "another supervisor", seconds=120)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
    assert _without_node(pids(running.installation)) == before
    await asyncio.to_thread(start_without_node, running)


def test_what_was_stopped_for_long_is_started_again(running: plane.ControlPlane) -> None:
    """The whole control plane but its supervisor, as real as it is."""
    before = pids(running.installation)
    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)
    stopped = "somebody has stopped it (SIGSTOP)"
    eventually(lambda: stopped in controlplane.status(running.installation).waiting_for, what="it is told")
    eventually(lambda: not set(before.values()) & set(pids(running.installation).values()), what="all are others")
    eventually(lambda: controlplane.status(running.installation).ready, what="all is ready again", seconds=180)
    running.kubectl("create", "configmap", "after-the-stop")


def test_an_adopted_component_is_watched_like_a_child(running: plane.ControlPlane) -> None:
    supervisor = controlplane.status(running.installation).supervisor_pid
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not controlplane.status(running.installation).running, what="the supervisor is gone")
    controlplane.start(running.installation, plane.programs())
    before = pids(running.installation)
    os.kill(before["kube-controller-manager"], signal.SIGKILL)
    eventually(
        lambda: (
            pids(running.installation).get("kube-controller-manager") not in (None, before["kube-controller-manager"])
        ),
        what="it runs again",
    )
    eventually(lambda: controlplane.status(running.installation).ready, what="all is ready again")


def test_a_component_whose_record_was_not_finished_is_found(running: plane.ControlPlane) -> None:
    before = pids(running.installation)
    supervisor = controlplane.status(running.installation).supervisor_pid
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not controlplane.status(running.installation).running, what="the supervisor is gone")
    import json

    path = running.installation.processes / "kube-apiserver.json"
    record = json.loads(path.read_bytes())
    del record["pid"], record["started"]  # as if the supervisor had been killed right after the start
    path.write_text(json.dumps(record))
    controlplane.start(running.installation, plane.programs())
    assert pids(running.installation) == before


def test_starting_twice_at_once_makes_one_of_everything(running: plane.ControlPlane) -> None:
    before = pids(running.installation)
    supervisor = controlplane.status(running.installation).supervisor_pid
    found: list[controlplane.ControlPlaneStatus] = []
    threads = [
        threading.Thread(target=lambda: found.append(controlplane.start(running.installation, plane.programs())))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status.supervisor_pid for status in found] == [supervisor, supervisor]
    assert pids(running.installation) == before


def test_a_second_supervisor_ends_at_once(running: plane.ControlPlane) -> None:
    supervisor = controlplane.status(running.installation).supervisor_pid
    lifecycle.launch(running.installation)
    log = running.installation.log("supervisor")
    eventually(lambda: "runs already" in log.read_text(), what="the second says so")
    assert controlplane.status(running.installation).supervisor_pid == supervisor


def test_fault_40_a_start_from_another_run_folder_on_the_same_data_is_refused(
    running: plane.ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "_LET_GO_LIMIT", 0.5)
    before = pids(running.installation)
    supervisor = controlplane.status(running.installation).supervisor_pid
    other = dataclasses.replace(running.installation, run_root=tmp_path / "run")
    assert controlplane.status(other).supervisor_pid == supervisor
    for attempt in (lambda: controlplane.start(other, plane.programs()), lambda: controlplane.stop(other)):
        said = re.escape(f"a supervisor (PID {supervisor}) runs on this data")
        with pytest.raises(controlplane.ControlPlaneError, match=said):
            attempt()
    assert pids(running.installation) == before


def test_a_second_etcd_on_the_same_data_is_refused(running: plane.ControlPlane) -> None:
    database = running.installation.etcd_data / "member/snap/db"
    with pytest.raises(errors.ControlPlaneError, match=f"in use by PID {pids(running.installation)['etcd']}"):
        probes.refuse_second_user(database)


def test_stop_leaves_no_process_and_start_keeps_objects(running: plane.ControlPlane) -> None:
    running.kubectl("create", "configmap", "kept")
    url = running.url
    controlplane.stop(running.installation)
    assert not mentioning(str(running.installation.root))
    assert not running.installation.run.exists()
    assert not controlplane.status(running.installation).running
    began = time.monotonic()
    status = controlplane.start(running.installation, plane.programs(), options=plane.ONLY_UPSTREAM)
    print(f"warm start: {time.monotonic() - began:.1f} s")
    assert status.url == url
    assert "kept" in running.kubectl("get", "configmap", "kept")


def test_stop_ends_what_a_killed_supervisor_left() -> None:
    with plane.an_installation("orphans") as installation:
        plane.start(installation)
        supervisor = controlplane.status(installation).supervisor_pid
        assert supervisor
        os.kill(supervisor, signal.SIGKILL)
        eventually(lambda: not controlplane.status(installation).running, what="the supervisor is gone")
        controlplane.stop(installation)
        assert not mentioning(str(installation.root))


def test_a_port_in_use_is_named_with_its_holder_and_the_remedy() -> None:
    with plane.an_installation("ports") as installation, socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        port = foreign.getsockname()[1]
        with installation.changing() as record:
            record.ports = {"etcd": port}
        with pytest.raises(controlplane.ControlPlaneError) as refused:
            plane.start(installation)
        assert f"TCP port {port}, remembered for etcd, is in use by" in str(refused.value)
        assert f"end PID {os.getpid()}" in str(refused.value)
        assert not mentioning(str(installation.root))


def test_a_closed_folder_is_named(tmp_path: Path) -> None:
    from virtualserver.installation.installation import Installation

    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    installation = Installation.below(root, "closed")
    with pytest.raises(controlplane.ControlPlaneError, match="other users cannot enter it"):
        plane.start(installation)


def test_a_component_that_cannot_run_ends_the_start_with_its_log(tmp_path: Path) -> None:
    with plane.an_installation("broken") as installation:
        folder = installation.root / "programs"
        folder.mkdir(mode=0o755)
        for name in ("kube-apiserver", "kube-controller-manager", "kubectl"):
            (folder / name).symlink_to(plane.programs().folder / name)
        (folder / "etcd").write_text("#!/bin/sh\necho 'no etcd today' >&2\nexit 3\n")
        (folder / "etcd").chmod(0o755)
        with pytest.raises(controlplane.ControlPlaneError, match=r"etcd ended with status 3.*no etcd today"):
            controlplane.start(installation, controlplane.Programs(folder, "named"), options=plane.ONLY_UPSTREAM)
        assert not mentioning(str(installation.root))
