"""How kinds are addressed."""

from __future__ import annotations

import pytest

from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import Resource, controller_of, controller_reference, owner_uid

SECRET = Resource("", "v1", "secrets", "Secret")


def test_a_path_names_group_namespace_kind_and_object() -> None:
    assert SECRET.path(namespace="one", name="a.b-c") == "/api/v1/namespaces/one/secrets/a.b-c"
    role = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
    assert role.path(name="system:node") == "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node"


@pytest.mark.parametrize("name", ["..", ".", "../../two/secrets/top", "a/b", "..%2ftwo", "a?b", "a#b", "a b", "a\n"])
def test_a_name_that_would_lead_elsewhere_is_not_found(name: str) -> None:
    with pytest.raises(NotFound, match="no object can have this name"):
        SECRET.path(namespace="one", name=name)
    with pytest.raises(NotFound):
        SECRET.path(namespace=name, name="one")


def test_the_controller_is_found_among_the_owners() -> None:
    reference = controller_reference(SECRET, {"metadata": {"name": "web", "uid": "u1"}})
    child = {"metadata": {"ownerReferences": [{"kind": "Other", "uid": "u2"}, reference]}}
    assert controller_of(child) == reference
    assert owner_uid(child) == "u1"
    assert owner_uid({"metadata": {"ownerReferences": [{"uid": "u2"}]}}) is None
    assert controller_of({"metadata": {"ownerReferences": None}}) is None
