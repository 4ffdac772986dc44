"""Users of namespaces, as `vs user add` makes them."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest

from harness.reports import Unseen, quiet
from harness.tenant import Tenant
from harness.waiting import eventually
from virtualserver.local import users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.control_plane import ControlPlane


@pytest.fixture
def tenants(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Tenant]]:
    """Make users who may edit a namespace of their own."""
    monkeypatch.setenv("VS_CONTROLPLANE", str(control_plane.kubectl_path.parent))
    for name, value in control_plane.installation.environment().items():
        monkeypatch.setenv(name, value)
    made: list[tuple[str, Tenant]] = []

    def make() -> Tenant:
        name = f"tenant-{secrets.token_hex(3)}"
        access = users.add(control_plane.installation, name, namespace=name, report=Unseen())
        tenant = Tenant(json.loads(access.kubeconfig))
        made.append((name, tenant))
        maps = f"/api/v1/namespaces/{name}/configmaps"
        eventually(lambda: tenant.status("GET", maps) == 200, what="the user's rights are in force")
        return tenant

    yield make
    for name, tenant in made:
        tenant.close()
        users.revoke(control_plane.installation, name, update=quiet)
        users.forget(control_plane.installation, name, update=quiet)
        control_plane.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
