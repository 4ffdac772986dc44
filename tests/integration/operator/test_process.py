"""The operator as a process: it takes its Lease, says that it reconciles, and lets go when it is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from virtualserver.kube.lease import LEASES
from virtualserver.operator import kinds, process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from control_plane import ControlPlane
    from operator_cluster import Cluster

SOURCES = Path(process.__file__).parents[2]


@pytest.fixture
def started(control_plane: ControlPlane, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process, as its supervisor starts it; it is ended at the end."""
    instance = control_plane.instance
    ready = instance.run / "operator" / "ready"
    ready.parent.mkdir(parents=True, exist_ok=True)
    ready.unlink(missing_ok=True)
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "virtualserver.operator", "--instance", instance.name],
            env={
                **os.environ,
                "PYTHONPATH": str(SOURCES),
                "VS_INSTANCE": instance.name,
                "VS_STATE": str(instance.root),
            },
            stdout=log,
            stderr=log,
        )
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        ready.unlink(missing_ok=True)


async def holder(cluster: Cluster) -> str:
    lease = await cluster.client.get(LEASES, process.LEASE_NAME, namespace=process.LEASE_NAMESPACE)
    return str(lease["spec"].get("holderIdentity") or "")


async def test_it_takes_its_lease_works_and_ends_on_sigterm_without_it(
    cluster: Cluster, control_plane: ControlPlane, started: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    ready = control_plane.instance.run / "operator" / "ready"

    async def reconciles() -> bool:
        assert started.poll() is None, (tmp_path / "log").read_text()
        return ready.exists()

    await cluster.until(reconciles)
    assert ready.read_text() == f"{started.pid}\n"
    assert (await holder(cluster)).endswith(f"-{started.pid}")

    await cluster.create(network={"public": False})
    await cluster.object(kinds.VIRTUAL_MACHINE, "web")

    started.send_signal(signal.SIGTERM)

    async def ended() -> bool:
        return started.poll() is not None

    await cluster.until(ended)
    assert started.returncode == 0, (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert await holder(cluster) == "", "others need not wait until the Lease runs out"
