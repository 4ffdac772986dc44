"""The labels by which Services find a VMI: its own, its machine's, and those of a pod in KubeVirt: pure.

There are no pods here, so a VMI stands for its pod. Who a machine is (its name and number) nobody can say of another
one: what KubeVirt itself writes comes last. A Service only ever finds VMIs of its own namespace.
Source: KubeVirt 1.8, virt-controller's ``services/template.go``, and ``apimachinery/labels.go`` for names that are too
long.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.kube.objects import Manifest

__all__ = ["of_new_vmi", "of_vm", "recorded", "seen", "selects"]

_DOMAIN: Final = "kubevirt.io/domain"
"""A label that published manifests give their machines; one that has none is found by its name."""
_LONGEST: Final = 63
_HASH_LENGTH: Final = 8
_LAUNCHER: Final = {"kubevirt.io": "virt-launcher"}


def of_new_vmi(vm: Manifest) -> dict[str, str]:
    """Return the labels that a VirtualMachine's VMI is made with."""
    template, name = vm["spec"]["template"], vm["metadata"]["name"]
    spec = fields.mapping(template, "spec")
    return {_DOMAIN: _as_value(name), **fields.labels_of(template), **_identity(name, spec)}


def recorded(vm: Manifest) -> str:
    """Return which labels a VMI has from its VirtualMachine's template, as its annotation says it."""
    return ",".join(sorted(fields.labels_of(vm["spec"]["template"])))


def of_vm(vm: Manifest) -> dict[str, str]:
    """Return the labels by which a Service will find a VirtualMachine's VMI, whether it runs or not."""
    return {**of_new_vmi(vm), **_LAUNCHER}


def seen(vmi: Manifest, vm: Manifest | None) -> dict[str, str]:
    """Return the labels by which a Service finds a VMI.

    Args:
        vmi: The VMI.
        vm: The VirtualMachine that made it, whose labels of now count; None: it was made by hand.
    """
    name, own = vmi["metadata"]["name"], fields.labels_of(vmi)
    if vm is not None:
        before = fields.annotations_of(vmi).get(names.TEMPLATE_LABELS, "").split(",")
        own = {key: value for key, value in own.items() if key not in before}
        own = {**own, **fields.labels_of(vm["spec"]["template"])}
    created_by = {"kubevirt.io/created-by": str(vmi["metadata"].get("uid", ""))}
    identity = _identity(name, fields.mapping(vmi, "spec"))
    return {_DOMAIN: _as_value(name), **own, **identity, **created_by, **_LAUNCHER}


def selects(service: Manifest, labels: Mapping[str, str]) -> bool:
    """Return whether a Service's selector matches labels; one without a selector matches nothing."""
    selector = fields.mapping(service, "spec", "selector")
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _identity(name: str, spec: Manifest) -> dict[str, str]:
    value = _as_value(name)
    hostname = str(spec.get("hostname") or name.partition(".")[0][:_LONGEST])
    return {"kubevirt.io/vm": value, "vm.kubevirt.io/name": hostname, "vmi.kubevirt.io/id": value}


def _as_value(name: str) -> str:
    """Return a name as the value of a label, which has fewer characters."""
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return f"{name[: _LONGEST - _HASH_LENGTH - 1]}-{digest[:_HASH_LENGTH]}"
