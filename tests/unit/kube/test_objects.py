"""How kinds are addressed."""

from __future__ import annotations

import pytest

from virtualserver.kube.errors import NotFound
from virtualserver.kube.objects import Resource

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
