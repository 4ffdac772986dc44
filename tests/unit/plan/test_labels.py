"""Fault 39: the labels by which Services find a machine are those of KubeVirt's pods, and of the VirtualServer."""

from __future__ import annotations

from typing import Any

import pytest

from virtualserver.api import names
from virtualserver.node.vm.controller import vmi_of
from virtualserver.plan import labels


def a_vm(name: str = "web", *, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": labels or {}}, "spec": spec}
    return {"metadata": {"namespace": "ns", "name": name, "uid": "vm"}, "spec": {"template": template}}


def a_vmi(vm: dict[str, Any], **own: str) -> dict[str, Any]:
    made = vmi_of(vm)
    made["metadata"] |= {"uid": "vmi", "labels": {**made["metadata"]["labels"], **own}}
    return made


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vm.kubevirt.io/name", "web"),
        ("vmi.kubevirt.io/id", "web"),
        ("kubevirt.io/domain", "web"),
        ("kubevirt.io/vm", "web"),
        ("kubevirt.io", "virt-launcher"),
        ("kubevirt.io/created-by", "vmi"),
        ("app", "shop"),
    ],
)
def test_fault_39_a_machine_is_found_by(key: str, value: str) -> None:
    vm = a_vm(labels={"app": "shop"})
    assert labels.seen(a_vmi(vm), vm)[key] == value
    older = a_vmi(vm)
    older["metadata"] |= {"labels": {"app": "shop"}, "annotations": {}}
    assert labels.seen(older, vm)[key] == value, "one that an earlier version of ours started too"
    if key != "kubevirt.io/created-by":
        assert labels.of_vm(vm)[key] == value


def test_labels_of_the_machine_are_followed_while_it_runs() -> None:
    vmi = a_vmi(a_vm(labels={"app": "old", "gone": "yes"}), by="hand")
    seen = labels.seen(vmi, a_vm(labels={"app": "new"}))
    assert (seen["app"], seen["by"], seen.get("gone")) == ("new", "hand", None)


def test_nobody_says_of_a_machine_that_it_is_another() -> None:
    spoofed = {"vmi.kubevirt.io/id": "victim", "vm.kubevirt.io/name": "victim", "kubevirt.io/vm": "victim"}
    vm = a_vm("thief", labels=spoofed)
    for found in (labels.of_vm(vm), labels.seen(a_vmi(vm, **spoofed), vm), labels.seen(a_vmi(vm, **spoofed), None)):
        assert {found[key] for key in spoofed} == {"thief"}


def test_what_published_manifests_call_their_domain_is_theirs() -> None:
    assert labels.of_vm(a_vm(labels={"kubevirt.io/domain": "testvm"}))["kubevirt.io/domain"] == "testvm"


def test_the_host_name_is_the_name_as_kubevirt_has_it() -> None:
    assert labels.of_vm(a_vm("a.b"))["vm.kubevirt.io/name"] == "a"
    assert labels.of_vm(a_vm("a", hostname="b"))["vm.kubevirt.io/name"] == "b"


def test_a_name_that_is_no_value_of_a_label_is_cut_as_kubevirt_cuts_it() -> None:
    name = "a" * 64
    assert labels.of_vm(a_vm(name))["vmi.kubevirt.io/id"] == f"{'a' * 54}-0098ba82"
    assert max(map(len, vmi_of(a_vm(name))["metadata"]["labels"].values())) <= 63


def test_a_vmi_says_which_labels_it_has_from_its_machine() -> None:
    vmi = a_vmi(a_vm(labels={"b": "1", "a": "2"}))
    assert vmi["metadata"]["annotations"][names.TEMPLATE_LABELS] == "a,b"


@pytest.mark.parametrize(
    ("selector", "seen", "expected"),
    [
        ({"a": "1"}, {"a": "1", "b": "2"}, True),
        ({"a": "1", "b": "3"}, {"a": "1", "b": "2"}, False),
        ({}, {"a": "1"}, False),
        (None, {"a": "1"}, False),
        ({"a": "1"}, {}, False),
    ],
)
def test_a_selector_matches_labels(selector: Any, seen: Any, expected: bool) -> None:
    assert labels.selects({"spec": {"selector": selector}}, seen) is expected
