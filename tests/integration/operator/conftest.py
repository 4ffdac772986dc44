"""The operator, in this process, against a real API server; and what the node would write, by hand."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from harness.operator_cluster import NAMESPACE, Cluster
from virtualserver.api.mac import MacKey
from virtualserver.host.followed import Followed
from virtualserver.kube.client import Client
from virtualserver.operator import process
from virtualserver.operator.kinds import VIRTUAL_SERVER
from virtualserver.plan import sites
from virtualserver.plan.sites.site import Site

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from harness.control_plane import ControlPlane


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    """A namespace of its own, as the administrator; it is deleted afterwards."""
    name = f"operator-{secrets.token_hex(4)}"
    async with Client.from_kubeconfig(control_plane.kubeconfig, user_agent="test") as client:
        await client.create(
            NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, field_manager="test"
        )
        found = Cluster(client, name)
        await found.image()
        try:
            yield found
        finally:
            # Servers first: what the operator would otherwise make anew in a namespace that is going.
            for item in await client.list(VIRTUAL_SERVER, namespace=name):
                await client.delete(VIRTUAL_SERVER, item["metadata"]["name"], namespace=name)
            await client.delete(NAMESPACE, name)


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    """The operator's site profile."""
    path = tmp_path / "site.yaml"
    path.write_text(sites.dump(Site(pools=frozenset({"public", "private", "public-ord1"}))))
    return path


@pytest.fixture
def operator_process(control_plane: ControlPlane, site_file: Path) -> Any:
    """Return what runs an operator, with its own credentials, in this process, as an async context manager."""
    mac_key = MacKey.decode(control_plane.installation.mac_key.read_bytes())
    site = Followed(site_file, lambda: sites.load(site_file.read_text()), look_seconds=0.2)

    @contextlib.asynccontextmanager
    async def run(*, resync_seconds: float = 600.0, client_type: type[Client] = Client) -> AsyncGenerator[None]:
        kubeconfig = control_plane.state / "kubeconfigs" / "operator"
        async with client_type.from_kubeconfig(kubeconfig, user_agent="operator-under-test") as client:
            task = asyncio.create_task(
                process.operate(client, site, mac_key, announce=lambda: None, resync_seconds=resync_seconds)
            )
            try:
                yield
                if task.done():
                    task.result()
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    return run


@pytest.fixture
async def operator(operator_process: Any) -> AsyncIterator[None]:
    """A running operator."""
    async with operator_process():
        yield
