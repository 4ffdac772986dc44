"""What the reconcile core's tests against a real kube-apiserver share."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from virtualserver.kube.client import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from harness.control_plane import ControlPlane


@pytest_asyncio.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    """The administrator's client, with a user agent of its own by which the audit log tells its requests."""
    agent = f"kube-test-{secrets.token_hex(4)}"
    async with Client.from_kubeconfig(control_plane.kubeconfig, user_agent=agent) as client:
        yield client


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"kube-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")
