"""Offers the site's storage classes as objects, where `kubectl get storageclass` and other clients look for them.

All of them are the local disk: nothing reads them here, since a name that is none of them is served by the default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.controlplane import bootstrap
from virtualserver.controlplane.rest import Rest
from virtualserver.kube import fields

if TYPE_CHECKING:
    from collections.abc import Collection

    from virtualserver.installation.installation import Installation

__all__ = ["manifests", "offer", "offer_all"]

_COLLECTION: Final = "/apis/storage.k8s.io/v1/storageclasses"
_USUAL: Final = "local"
_OURS: Final = {"app.kubernetes.io/managed-by": "virtualserver-supervisor"}


def manifests(classes: Collection[str]) -> list[dict[str, Any]]:
    """Return the StorageClasses of these names: pure. The default is ``local``, else the first by name.

    A name that no object can have means the local disk all the same, and has no StorageClass.
    """
    classes = {name for name in classes if names.DNS_SUBDOMAIN.fullmatch(name)}
    default = _USUAL if _USUAL in classes else min(classes, default="")
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": name,
                "labels": _OURS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": str(name == default).lower()},
            },
            "provisioner": f"{names.DOMAIN}/local",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
            "allowVolumeExpansion": True,
        }
        for name in sorted(classes)
    ]


def offer_all(installation: Installation, url: str, classes: Collection[str]) -> None:
    """Do what `offer` does, as the administrator of an installation."""
    with Rest.as_administrator(installation, url, timeout_seconds=60) as server:
        offer(server, classes)


def offer(server: Rest, classes: Collection[str]) -> None:
    """Make these StorageClasses, and remove those of ours that are not among them.

    Raises:
        RestError: The API server refuses one.
        OSError: It does not answer.
    """
    for one in server.call("GET", _COLLECTION)["items"]:
        is_ours = fields.mapping(one, "metadata", "labels").items() >= _OURS.items()
        if is_ours and one["metadata"]["name"] not in classes:
            path = f"{_COLLECTION}/{one['metadata']['name']}"
            server.call("DELETE", path, {"preconditions": {"uid": one["metadata"]["uid"]}})
    for manifest in manifests(classes):
        bootstrap.write(server, manifest)
