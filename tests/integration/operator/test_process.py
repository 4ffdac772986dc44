"""The operator as a process: it takes its Lease, says that it reconciles, and lets go when it is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from virtualserver.controlplane.supervisor.processes import Records
from virtualserver.kube import kinds
from virtualserver.kube.lease import LEASES
from virtualserver.operator import process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.control_plane import ControlPlane
    from harness.operator_cluster import Cluster

SOURCES = Path(process.__file__).parents[2]
IDENTITY = "operator-under-test"


class Operators:
    """Operators of one instance, as its supervisor starts them."""

    def __init__(self, control_plane: ControlPlane, log: Path) -> None:
        self.installation = control_plane.installation
        self.log = log
        self.running: list[subprocess.Popen[bytes]] = []
        self.ready = self.installation.run / "operator" / "ready"

    def start(self) -> subprocess.Popen[bytes]:
        """Start one more."""
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                [
                    *(sys.executable, "-m", "virtualserver.operator"),
                    *("--kubeconfig", str(self.installation.kubeconfigs / "operator")),
                    *("--site", str(self.installation.effective_site)),
                    *("--mac-key", str(self.installation.operator_mac_key)),
                    *("--ready-file", str(self.ready)),
                    *("--identity", IDENTITY),
                ],
                env={**os.environ, "PYTHONPATH": str(SOURCES)},
                stdout=log,
                stderr=log,
            )
        self.running.append(started)
        return started

    async def reconciling(self, cluster: Cluster) -> subprocess.Popen[bytes]:
        """Start one more, and return it once it reconciles."""
        started = self.start()

        async def reconciles() -> bool:
            assert started.poll() is None, self.log.read_text()
            return self.ready.exists() and self.ready.read_text() == f"{started.pid}\n"

        await cluster.until(reconciles)
        return started


@pytest.fixture
def operators(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Operators]:
    """What starts operators; they are ended at the end."""
    operators = Operators(control_plane, tmp_path / "log")
    operators.ready.parent.mkdir(parents=True, exist_ok=True)
    operators.ready.unlink(missing_ok=True)
    try:
        yield operators
    finally:
        for running in operators.running:
            running.kill()
            running.wait()
        operators.ready.unlink(missing_ok=True)


async def holder(cluster: Cluster) -> str:
    lease = await cluster.client.get(LEASES, process.LEASE_NAME, namespace=process.LEASE_NAMESPACE)
    return str(lease["spec"].get("holderIdentity") or "")


async def test_it_takes_its_lease_works_and_ends_on_sigterm_without_it(cluster: Cluster, operators: Operators) -> None:
    started = await operators.reconciling(cluster)
    assert await holder(cluster) == IDENTITY

    await cluster.create(network={"public": False})
    await cluster.object(kinds.VIRTUAL_MACHINE, "web")

    started.send_signal(signal.SIGTERM)

    async def ended() -> bool:
        return started.poll() is not None

    await cluster.until(ended)
    assert started.returncode == 0, operators.log.read_text()
    assert "Traceback" not in operators.log.read_text()
    assert await holder(cluster) == "", "others need not wait until the Lease runs out"


async def test_the_one_after_a_killed_one_does_not_wait_until_the_lease_runs_out(
    cluster: Cluster, operators: Operators
) -> None:
    first = await operators.reconciling(cluster)
    first.kill()
    first.wait()
    assert await holder(cluster) != "", "nobody gave the Lease back"
    await operators.reconciling(cluster)
    assert "waiting, the holder is" not in operators.log.read_text()
    await cluster.create(network={"public": False})
    await cluster.object(kinds.VIRTUAL_MACHINE, "web")


async def test_a_second_one_beside_one_that_works_ends_at_once(cluster: Cluster, operators: Operators) -> None:
    first = await operators.reconciling(cluster)
    assert operators.start().wait(timeout=60) == 1
    assert "another operator with the identity" in operators.log.read_text().splitlines()[-1]
    assert first.poll() is None


async def test_it_outlives_an_api_server_that_is_away_for_longer_than_its_lease(
    cluster: Cluster, operators: Operators, control_plane: ControlPlane
) -> None:
    """Fault 35: it ended with status 1."""
    started = await operators.reconciling(cluster)
    api_server = Records(control_plane.installation.processes).all()["kube-apiserver"].pid
    os.kill(api_server, signal.SIGSTOP)
    try:
        await cluster.until(lambda: _is_gone(operators.ready))
    finally:
        os.kill(api_server, signal.SIGCONT)
    assert "the Lease could not be kept" in operators.log.read_text()

    async def reconciles() -> bool:
        assert started.poll() is None, operators.log.read_text()
        return operators.ready.exists()

    await cluster.until(reconciles)
    await cluster.create(network={"public": False})
    await cluster.object(kinds.VIRTUAL_MACHINE, "web")


async def _is_gone(path: Path) -> bool:
    return not path.exists()
