"""Definitions in the form ``apiextensions.k8s.io/v1beta1``, which Kubernetes 1.22 removed: pure, and for reading only.

Clients of the service read the VirtualServer's definition there; kube-apiserver forwards such a GET as it does those of
``subresources.kubevirt.io``. Source: https://kubernetes.io/docs/reference/using-api/deprecation-guide/#v1-22.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.kube import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.kube.objects import Manifest

__all__ = ["GROUP", "VERSION", "as_v1beta1", "resource_list"]

GROUP: Final = "apiextensions.k8s.io"
VERSION: Final = "v1beta1"

_OF_ALL_VERSIONS: Final = ("additionalPrinterColumns", "subresources", "validation")
"""What the old form says once where all versions agree, which one version does."""


def as_v1beta1(definition: Manifest) -> dict[str, Any]:
    """Return a definition of version v1 as the old version shows it."""
    spec = fields.mapping(definition, "spec")
    versions = [_version(one) for one in fields.items(definition, "spec", "versions")]
    wanted: dict[str, Any] = {**spec, "versions": versions, "version": versions[0]["name"]}
    if len(versions) == 1:
        for field in _OF_ALL_VERSIONS:
            if field in versions[0]:
                wanted[field] = versions[0].pop(field)
    else:
        for version in versions:
            if "validation" in version:
                version["schema"] = version.pop("validation")
    return {**definition, "apiVersion": f"{GROUP}/{VERSION}", "kind": "CustomResourceDefinition", "spec": wanted}


def _version(version: Mapping[str, Any]) -> dict[str, Any]:
    """Return one version with the old names of its fields, but for the schema, which is ``validation`` here."""
    result = dict(version)
    if "schema" in result:
        result["validation"] = result.pop("schema")
    columns = result.get("additionalPrinterColumns")
    if columns:
        result["additionalPrinterColumns"] = [
            {"JSONPath" if key == "jsonPath" else key: value for key, value in column.items()} for column in columns
        ]
    return result


def resource_list() -> dict[str, Any]:
    """Return what discovery says about the old version: nothing, so that only those who know its path ask for it.

    Terraform's provider lists the definitions in every version in which discovery shows them, and needs each answer.
    """
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}", "resources": []}
