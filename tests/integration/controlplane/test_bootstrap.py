"""The manifests in a running API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from virtualserver.controlplane import bootstrap
from virtualserver.controlplane.layout import Layout
from virtualserver.controlplane.rest import Rest, RestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from control_plane import ControlPlane


@pytest.fixture
def server(control_plane: ControlPlane) -> Iterator[Rest]:
    """A connection as the administrator."""
    pki = Layout(control_plane.instance).pki
    connection = Rest(control_plane.url, authority=pki / "ca.crt", client=pki / "clients/admin", timeout_seconds=60)
    yield connection
    connection.close()


def versions(server: Rest) -> dict[str, str]:
    paths = [bootstrap.path_of(manifest) for manifest in bootstrap.load()]
    return {path: server.call("GET", path)["metadata"]["resourceVersion"] for path in paths}


def test_a_second_start_writes_nothing(server: Rest) -> None:
    before = versions(server)
    bootstrap.apply(server, bootstrap.load())
    assert versions(server) == before


def test_what_somebody_deleted_comes_back(server: Rest) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/virtualserver:crd-reader"
    server.call("DELETE", path)
    bootstrap.apply(server, bootstrap.load())
    assert server.call("GET", path)["rules"]


def test_every_policy_is_in_force(server: Rest) -> None:
    for policy in bootstrap.load():
        if policy["kind"] == "ValidatingAdmissionPolicy":
            example = yaml.safe_load(policy["metadata"]["annotations"][bootstrap.REFUSED_EXAMPLE])
            path = f"/apis/{example['apiVersion']}/namespaces/default/virtualservers?dryRun=All"
            with pytest.raises(RestError, match=policy["metadata"]["name"]):
                server.call("POST", path, example)
