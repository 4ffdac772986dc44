"""What exists of a server's names, and what of it is the server's."""

from __future__ import annotations

from typing import Any

from harness.virtualservers import a_disk, a_machine, a_server, a_service, an_instance, owned
from virtualserver.kube import kinds
from virtualserver.kube.objects import controller_reference
from virtualserver.plan.children import Children

TEMPLATE: dict[str, Any] = {"metadata": {}, "spec": {}}


def a_claim(owner: str) -> dict[str, Any]:
    reference = controller_reference(kinds.DATA_VOLUME, {"metadata": {"name": "web", "uid": owner}})
    metadata = {"name": "web", "namespace": "default", "ownerReferences": [reference]}
    return {"kind": "PersistentVolumeClaim", "metadata": metadata}


def test_an_object_is_found_by_kind_and_name() -> None:
    children = Children.of([a_machine(), None, a_service("web-tcp")])
    assert children.get("Service", "web-tcp") == a_service("web-tcp")
    assert children.get("Service", "web") is None


def test_objects_of_others_are_left_out() -> None:
    foreign = owned({"kind": "Service", "metadata": {"name": "web-udp"}}, uid="another")
    children = Children.of([a_machine(), a_service("web-tcp"), foreign, {"kind": "Secret", "metadata": {"name": "s"}}])
    assert set(children.ours(a_server()).objects) == {("VirtualMachine", "web"), ("Service", "web-tcp")}


def test_a_kept_disk_without_an_owner_is_ours_by_its_label() -> None:
    assert Children.of([a_disk(owner=False)]).ours(a_server()).get("DataVolume", "web")


def test_what_is_made_from_ours_is_ours_and_what_only_has_its_name_is_not() -> None:
    made = [a_machine(), an_instance(TEMPLATE), a_disk(), a_claim("uid-of-disk")]
    assert set(Children.of(made).ours(a_server()).objects) == set(Children.of(made).objects)
    ours = Children.of([an_instance(TEMPLATE), a_disk(), a_claim("another")]).ours(a_server())
    assert set(ours.objects) == {("DataVolume", "web")}


def test_an_object_with_a_time_of_deletion_is_leaving() -> None:
    leaving = a_service("web-tcp")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    children = Children.of([leaving, a_service("web-udp")])
    assert children.leaving("Service", "web-tcp")
    assert not children.leaving("Service", "web-udp") and not children.leaving("Service", "web")
