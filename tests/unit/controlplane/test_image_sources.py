"""Who may clone images: what is ours of it, and what of it goes. With a real API server: test_claim_sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.controlplane import image_sources
from virtualserver.controlplane.rest import RestError

if TYPE_CHECKING:
    from virtualserver.controlplane.rest import Rest


def a_role(namespace: str, *, name: str = "virtualserver:image-sources", label: str = "") -> dict[str, Any]:
    labels = {"app.kubernetes.io/managed-by": label} if label else {}
    return {"kind": "Role", "metadata": {"name": name, "namespace": namespace, "labels": labels}}


def test_what_lets_everybody_clone_is_one_right_in_one_namespace() -> None:
    role, binding = image_sources.manifests("golden")
    assert role["rules"] == [
        {"apiGroups": ["cdi.kubevirt.io"], "resources": ["datavolumes/source"], "verbs": ["create"]}
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [one["name"] for one in binding["subjects"]] == ["system:authenticated"]
    assert {one["metadata"]["namespace"] for one in (role, binding)} == {"golden"}


@pytest.mark.parametrize("manifest", image_sources.manifests("golden"))
def test_what_we_made_goes_when_its_namespace_is_named_no_more(manifest: dict[str, Any]) -> None:
    assert image_sources.is_left(manifest, ("vd-images",))
    assert not image_sources.is_left(manifest, ("vd-images", "golden"))


@pytest.mark.parametrize(
    ("role", "is_left"),
    [
        (a_role("golden"), False),
        (a_role("golden", label="somebody"), False),
        (a_role("golden", name="own", label="virtualserver-supervisor"), False),
        (a_role("vd-images"), True),
    ],
)
def test_what_is_not_ours_stays_and_what_earlier_versions_made_is_ours(role: dict[str, Any], is_left: bool) -> None:
    assert image_sources.is_left(role, ("other",)) is is_left


class Server:
    """An API server on which one namespace is going and will not go, and one is not there."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def status(self, path: str) -> int:
        """Answer whether a namespace is there."""
        return 404 if path.endswith("/missing") else 200

    def call(self, method: str, path: str, body: Any = None, **_: Any) -> Any:
        """Answer a request."""
        if method == "GET":
            return {"items": []}
        if "/namespaces/going/" in path:
            raise RestError(403, "because it is being terminated")
        self.written.append(f"{method} {path.partition('?')[0].rpartition('/v1/')[2]}")
        return body


def test_one_namespaces_trouble_is_told_and_no_others() -> None:
    server = Server()
    told = image_sources.share(cast("Rest", server), ("going", "missing"))
    assert told == ["site.imageNamespaces: 'going': 403: because it is being terminated"]
    assert server.written == [
        "POST namespaces",
        "PATCH namespaces/missing/roles/virtualserver:image-sources",
        "PATCH namespaces/missing/rolebindings/virtualserver:image-sources",
    ]
