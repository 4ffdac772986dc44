"""The DataVolumes that a VirtualMachine brings along in ``spec.dataVolumeTemplates``: pure.

Source: KubeVirt's user guide, "DataVolumes": they are made with the machine and deleted with it, and one of a name that
exists already is used as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.objects import controller_reference

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest

__all__ = ["data_volumes_of", "template_names"]

_CREATED_BY: Final = "kubevirt.io/created-by"


def template_names(vm: Manifest) -> list[str]:
    """Return the names of the DataVolumes that a machine brings along."""
    templates = fields.items(vm, "spec", "dataVolumeTemplates")
    return [str(name) for template in templates if (name := fields.mapping(template, "metadata").get("name"))]


def data_volumes_of(vm: Manifest) -> list[dict[str, Any]]:
    """Return the DataVolumes that a machine brings along, in its namespace and owned by it."""
    return [
        {
            "apiVersion": kinds.DATA_VOLUME.api_version,
            "kind": kinds.DATA_VOLUME.kind,
            "metadata": {
                "name": template["metadata"]["name"],
                "namespace": vm["metadata"]["namespace"],
                "labels": {**_of_its_owner(fields.labels_of(template)), _CREATED_BY: vm["metadata"]["uid"]},
                "annotations": _of_its_owner(fields.annotations_of(template)),
                "ownerReferences": [controller_reference(kinds.VIRTUAL_MACHINE, vm)],
            },
            "spec": template["spec"],
        }
        for template in fields.items(vm, "spec", "dataVolumeTemplates")
    ]


def _of_its_owner(given: Manifest) -> dict[str, str]:
    """Leave out the labels and annotations of ours, which only we write."""
    return {key: value for key, value in given.items() if not key.startswith(f"{names.DOMAIN}/")}
