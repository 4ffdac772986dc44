"""The manifests in a running API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.waiting import eventually
from virtualserver.controlplane import bootstrap
from virtualserver.controlplane.rest import Rest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.control_plane import ControlPlane


@pytest.fixture
def server(control_plane: ControlPlane) -> Iterator[Rest]:
    """A connection as the administrator."""
    pki = control_plane.installation.pki
    connection = Rest(control_plane.url, authority=pki / "ca.crt", client=pki / "clients/admin", timeout_seconds=60)
    yield connection
    connection.close()


def versions(server: Rest) -> dict[str, str]:
    paths = [bootstrap.path_of(manifest) for manifest in bootstrap.load()]
    return {path: server.call("GET", path)["metadata"]["resourceVersion"] for path in paths}


class Counting:
    """A connection that tells what was asked of it to write."""

    def __init__(self, server: Rest) -> None:
        self._server = server
        self.written: list[str] = []

    def call(self, method: str, path: str, *arguments: Any, **options: Any) -> Any:
        """Answer as the server does."""
        if method != "GET" and "dryRun" not in path:
            self.written.append(path.partition("?")[0])
        return self._server.call(method, path, *arguments, **options)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    return tmp_path / "rights.json"


def applied(server: Rest, left: Path) -> list[str]:
    """Apply the manifests, and return what was written for it."""
    counting = Counting(server)
    bootstrap.apply(cast("Rest", counting), bootstrap.load(), left)
    return counting.written


def settled(server: Rest, left: Path) -> None:
    """Apply the manifests until nothing of them is written: the API server notes in some that it has seen them."""
    eventually(lambda: applied(server, left) == [], what="a start that writes nothing")


def test_a_second_start_writes_nothing_and_asks_for_nothing_to_be_written(server: Rest, left: Path) -> None:
    settled(server, left)
    before = versions(server)
    assert applied(server, left) == []
    assert versions(server) == before


@pytest.mark.parametrize("record", ["", "{", '{"version": 2, "marks": {}}', '{"version": 1, "marks": [1]}'])
def test_where_it_is_not_known_how_rights_were_left_all_are_applied(server: Rest, left: Path, record: str) -> None:
    settled(server, left)
    left.write_text(record)
    rights = [path for path in map(bootstrap.path_of, bootstrap.load()) if "rbac" in path or "admission" in path]
    assert rights and set(rights) <= set(applied(server, left))
    assert applied(server, left) == []


def test_what_somebody_deleted_comes_back(server: Rest, left: Path) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/virtualserver:crd-reader"
    settled(server, left)
    server.call("DELETE", path)
    assert applied(server, left) == [path]
    assert server.call("GET", path)["rules"]


EVERYTHING: dict[str, Any] = {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
EVERYBODY: dict[str, Any] = {
    "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated"}]
}


@pytest.mark.parametrize(
    ("collection", "name", "patch"),
    [
        (
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
            "operator-writes.virtualservers.coreweave.com",
            {"spec": {"failurePolicy": "Ignore"}},
        ),
        (
            # All of it is replaced by what is applied, so that what somebody added to it goes too.
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
            "claim-sources.virtualservers.coreweave.com",
            {"spec": {"matchConstraints": {"namespaceSelector": {"matchLabels": {"nobody": "has-it"}}}}},
        ),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", "virtualserver:node", EVERYTHING),
        ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "virtualserver:operator", EVERYBODY),
    ],
)
def test_a_right_that_somebody_widened_is_narrow_again_at_the_next_start(
    server: Rest, left: Path, collection: str, name: str, patch: dict[str, Any]
) -> None:
    """An attack of our own: what was weakened once would otherwise stay so for ever, since all objects are there."""
    path = f"{collection}/{name}"
    settled(server, left)
    before = server.call("GET", path)
    server.call("PATCH", path, patch, content_type="application/merge-patch+json")
    assert applied(server, left) == [path]
    after = server.call("GET", path)
    assert {field: after[field] for field in patch} == {field: before[field] for field in patch}


def test_a_right_that_somebody_changed_and_changed_back_is_applied_all_the_same(server: Rest, left: Path) -> None:
    """Whose field it is counts too, where a later version leaves it out."""
    settled(server, left)
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/virtualserver:crd-reader"
    rules = server.call("GET", path)["rules"]
    for changed in ({"rules": None}, {"rules": rules}):
        server.call("PATCH", path, changed, content_type="application/merge-patch+json")
    assert applied(server, left) == [path]


def test_every_policy_is_in_force(server: Rest) -> None:
    policies = [manifest for manifest in bootstrap.load() if manifest["kind"] == "ValidatingAdmissionPolicy"]
    assert policies
    for policy in policies:
        assert policy["metadata"]["name"] in bootstrap.refusal_of_example(server, policy)


class Hasty:
    """A connection whose first look at a definition is so early that nobody has written its conditions yet."""

    def __init__(self, server: Rest, created: dict[str, Any]) -> None:
        self._server = server
        self._answers = [created]

    def call(self, method: str, path: str, *arguments: Any, **options: Any) -> Any:
        """Answer as the server does; the first question for the definition with what its creation answered."""
        if method == "GET" and path.endswith("/customresourcedefinitions/hasty.example.com") and self._answers:
            return self._answers.pop()
        return self._server.call(method, path, *arguments, **options)


def test_a_definition_without_conditions_yet_is_waited_for(server: Rest) -> None:
    schema = {"openAPIV3Schema": {"type": "object"}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "hasty.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "hasty", "kind": "Hasty"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    collection = bootstrap.path_of(definition, collection=True)
    created = server.call("POST", collection, definition)
    record = "/api/v1/namespaces/virtualserver-system/configmaps/bootstrap"
    before = server.call("GET", record)["data"]
    try:
        assert created["status"]["conditions"] is None
        bootstrap.apply(cast("Rest", Hasty(server, created)), [definition])
    finally:
        server.call("DELETE", bootstrap.path_of(definition))
        server.call("PATCH", record, {"data": before}, content_type="application/merge-patch+json")
