"""Lets everybody clone the images of the namespaces that the site names, and of no others.

One namespace's trouble (somebody deletes it, and it does not go) is no other's: it is told, and tried again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.controlplane import bootstrap
from virtualserver.controlplane.rest import Rest, RestError
from virtualserver.kube import fields
from virtualserver.kube.objects import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from virtualserver.installation.installation import Installation
    from virtualserver.kube.objects import Manifest

__all__ = ["granting", "is_left", "manifests", "share", "share_all"]

_NAME: Final = "virtualserver:image-sources"
_GROUP: Final = "rbac.authorization.k8s.io"
_OURS: Final = {"app.kubernetes.io/managed-by": "virtualserver-supervisor"}


def manifests(namespace: str) -> list[dict[str, Any]]:
    """Return what lets everybody clone the claims of a namespace."""
    return granting({"name": _NAME, "namespace": namespace, "labels": _OURS})


def granting(metadata: Mapping[str, Any], *, claim: str | None = None) -> list[dict[str, Any]]:
    """Return the Role and the RoleBinding by which everybody may clone claims: pure.

    Args:
        metadata: Of both.
        claim: The one claim; None: all of the namespace.
    """
    rule = {"apiGroups": ["cdi.kubevirt.io"], "resources": ["datavolumes/source"], "verbs": ["create"]}
    if claim is not None:
        rule["resourceNames"] = [claim]
    everybody = {"apiGroup": _GROUP, "kind": "Group", "name": "system:authenticated"}
    return [
        {"apiVersion": f"{_GROUP}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _GROUP, "kind": "Role", "name": metadata["name"]},
            "subjects": [everybody],
        },
    ]


def is_left(manifest: Manifest, namespaces: Iterable[str]) -> bool:
    """Return whether a Role or a RoleBinding is ours, of a namespace that is not among these any more: pure.

    Earlier versions put no label on what they made in the namespace of `vs image`.
    """
    namespace, name = key_of(manifest)
    labels = fields.mapping(manifest, "metadata", "labels")
    is_ours = labels.items() >= _OURS.items() or namespace == names.IMAGE_NAMESPACE
    return name == _NAME and is_ours and namespace not in namespaces


def share_all(installation: Installation, url: str, namespaces: Iterable[str]) -> list[str]:
    """Do what `share` does, as the administrator of an installation."""
    with Rest.as_administrator(installation, url, timeout_seconds=60) as server:
        return share(server, tuple(namespaces))


def share(server: Rest, namespaces: tuple[str, ...]) -> list[str]:
    """Let everybody clone the claims of these namespaces and of no others; return what could not be done, in words.

    A namespace that is missing is made; none is ever removed.

    Raises:
        RestError: The API server has trouble of its own.
        OSError: It does not answer.
    """
    for plural in ("rolebindings", "roles"):
        for one in server.call("GET", f"/apis/{_GROUP}/v1/{plural}?fieldSelector=metadata.name={_NAME}")["items"]:
            if is_left(one, namespaces):
                path = f"/apis/{_GROUP}/v1/namespaces/{key_of(one)[0]}/{plural}/{_NAME}"
                server.call("DELETE", path, {"preconditions": {"uid": one["metadata"]["uid"]}})
    return list(_shared(server, namespaces))


def _shared(server: Rest, namespaces: Iterable[str]) -> Iterator[str]:
    for namespace in namespaces:
        try:
            if server.status(f"/api/v1/namespaces/{namespace}") == 404:
                server.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
            for manifest in manifests(namespace):
                bootstrap.write(server, manifest)
        except RestError as error:
            if error.status >= 500:
                raise
            yield f"site.imageNamespaces: {namespace!r}: {error}"
