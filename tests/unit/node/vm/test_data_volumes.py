from __future__ import annotations

from typing import Any

from virtualserver.api import names
from virtualserver.node.vm.data_volumes import data_volumes_of, template_names

SPEC = {"source": {"pvc": {"namespace": "vd-images", "name": "tiny"}}, "storage": {}}


def a_machine(*templates: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "m", "uid": "u"}
    return {
        "metadata": metadata,
        "spec": {"template": {}, **({"dataVolumeTemplates": [*templates]} if templates else {})},
    }


def test_a_template_becomes_a_data_volume_of_the_machines_namespace_that_it_owns() -> None:
    """Fault 46."""
    template = {
        "metadata": {"name": "disk", "namespace": "others", "labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": SPEC,
    }
    (made,) = data_volumes_of(a_machine(template))
    assert made["apiVersion"] == "cdi.kubevirt.io/v1beta1" and made["spec"] == SPEC
    metadata = made["metadata"]
    assert (metadata["namespace"], metadata["name"]) == ("m", "disk")
    assert metadata["labels"] == {"a": "b", "kubevirt.io/created-by": "u"} and metadata["annotations"] == {"c": "d"}
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("VirtualMachine", "web", "u", True)


def test_labels_and_annotations_of_ours_are_not_taken_from_a_template() -> None:
    """The node writes with rights that who wrote the template may lack."""
    ours = {f"{names.DOMAIN}/image": "sha256:00", names.UID: "another's"}
    template = {"metadata": {"name": "disk", "labels": ours, "annotations": ours}, "spec": SPEC}
    (made,) = data_volumes_of(a_machine(template))
    assert made["metadata"]["annotations"] == {} and made["metadata"]["labels"] == {"kubevirt.io/created-by": "u"}


def test_a_machine_without_templates_brings_nothing_along() -> None:
    assert data_volumes_of(a_machine()) == [] and template_names(a_machine()) == []
    assert template_names(a_machine({"metadata": {"name": "disk"}, "spec": SPEC})) == ["disk"]
