"""Whose an object is: every way in which an owner reference can be wrong, for every kind that a server has."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from harness.virtualservers import UID, a_server
from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.kube.objects import controller_reference
from virtualserver.plan.ownership import (
    SUFFIXES,
    VIRTUAL_SERVER,
    claimed_owner,
    describe_owner,
    is_ours,
    kept_for,
    living_owner,
    machine_labels,
    was_kept,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtualserver.kube.objects import Key, Manifest, Resource

NAMES = [(kind, f"web{suffix}") for kind, suffixes in SUFFIXES.items() for suffix in suffixes]
"""Every object that the server ``web`` may have."""

WRONG: dict[str, dict[str, Any]] = {
    "uid": {"uid": "another"},
    "name": {"name": "db"},
    "kind": {"kind": "DataVolume"},
    "group": {"apiVersion": "example.test/v1"},
    "core group": {"apiVersion": "v1"},
    "no controller": {"controller": False},
}


def a_child(kind: str, name: str, reference: dict[str, Any] | None, *, namespace: str = "default") -> dict[str, Any]:
    references = [reference] if reference else []
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, "ownerReferences": references}}


def the_server(**changes: Any) -> dict[str, Any]:
    return {**controller_reference(VIRTUAL_SERVER, {"metadata": {"name": "web", "uid": UID}}), **changes}


def wrongs() -> Iterator[dict[str, Any]]:
    """Yield all combinations of wrong fields, one at least."""
    for count in range(1, len(WRONG) + 1):
        for chosen in itertools.combinations(WRONG.values(), count):
            yield {key: value for change in chosen for key, value in change.items()}


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_an_object_is_ours_when_all_of_its_reference_is_right(kind: str, name: str) -> None:
    assert is_ours(a_server(), a_child(kind, name, the_server()))
    assert is_ours(a_server(), a_child(kind, name, the_server(apiVersion=f"{names.GROUP}/v2"))), "any version"


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_an_object_is_not_ours_when_anything_of_its_reference_is_wrong(kind: str, name: str) -> None:
    for wrong in wrongs():
        if set(wrong) == {"name"} and name == "web":
            continue
        assert not is_ours(a_server(), a_child(kind, name, the_server(**wrong))), wrong


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_an_object_of_another_namespace_or_without_an_owner_is_not_ours_whatever_its_labels_say(
    kind: str, name: str
) -> None:
    labels = {names.UID: UID, names.NAME: "web"}
    elsewhere = a_child(kind, name, the_server(), namespace="other")
    unowned = a_child(kind, name, None, namespace="other")
    for child in (elsewhere, unowned):
        child["metadata"]["labels"] = labels
        assert not is_ours(a_server(), child)


@pytest.mark.parametrize("kind", [*SUFFIXES, "VirtualMachineInstance", "PersistentVolumeClaim", "Pod"])
def test_an_object_of_a_name_that_the_server_does_not_give_is_not_ours(kind: str) -> None:
    assert not is_ours(a_server(), a_child(kind, "web-2", the_server()))


MAKERS = [
    ("VirtualMachineInstance", "web", kinds.VIRTUAL_MACHINE),
    ("PersistentVolumeClaim", "web", kinds.DATA_VOLUME),
    ("EndpointSlice", "web-ipv4", kinds.SERVICE),
]


@pytest.mark.parametrize(("kind", "name", "maker"), MAKERS)
def test_what_is_made_of_a_child_belongs_to_that_child_while_it_lives(kind: str, name: str, maker: Resource) -> None:
    reference = controller_reference(maker, {"metadata": {"name": "web", "uid": "u"}})
    child = a_child(kind, name, reference)
    alive: Manifest = {"kind": maker.kind, "metadata": {"name": "web", "namespace": "default", "uid": "u"}}

    def find(resource: Resource, key: Key) -> Manifest | None:
        return alive if (resource, key) == (maker, ("default", "web")) else None

    assert claimed_owner(child) == (maker, ("default", "web"))
    assert living_owner(child, find) == alive
    assert living_owner(child, lambda resource, key: None) is None
    assert living_owner(a_child(kind, name, {**reference, "uid": "v"}), find) is None
    for other in (kinds.SECRET, VIRTUAL_SERVER):
        assert claimed_owner(a_child(kind, name, controller_reference(other, alive))) is None


def test_an_object_of_a_kind_that_nothing_of_ours_makes_belongs_to_nobody() -> None:
    assert claimed_owner(a_child("ConfigMap", "web", the_server())) is None
    assert claimed_owner({"metadata": {"name": "web", "namespace": "default"}}) is None


def test_fault_39_a_machine_has_the_labels_of_its_server_and_none_that_only_we_give() -> None:
    given = {"app": "shop", names.UID: "another", f"{names.DOMAIN}/x": "y"}
    server = a_server("web")
    server = msgspec.structs.replace(server, metadata=msgspec.structs.replace(server.metadata, labels=given))
    assert machine_labels(server) == {"app": "shop", names.NAME: "web", names.UID: server.uid}


def a_kept_disk(mark: str | None, *, kind: str = "DataVolume", **fields: Any) -> dict[str, Any]:
    annotations = {} if mark is None else {names.KEPT_FOR: mark}
    labels = {names.NAME: "web", names.UID: "earlier"}
    metadata = {"name": "web", "namespace": "default", "annotations": annotations, "labels": labels, **fields}
    return {"kind": kind, "metadata": metadata}


@pytest.mark.parametrize("mark", ["default/web/earlier", "default/web", f"default/web/{UID}"])
def test_fault_47_a_disk_that_the_operator_marked_for_the_name_is_the_next_servers(mark: str) -> None:
    disk = a_kept_disk(mark)
    assert is_ours(a_server(), disk)
    assert kept_for(a_server(), disk) == mark, "the mark stays as it is"
    assert was_kept(a_server(), disk) == (mark != f"default/web/{UID}")


@pytest.mark.parametrize(
    "disk",
    [
        a_kept_disk(None),
        a_kept_disk(""),
        a_kept_disk("default"),
        a_kept_disk("default/"),
        a_kept_disk("default/db/earlier"),
        a_kept_disk("other/web/earlier"),
        a_kept_disk("default/web/earlier", namespace="other"),
        a_kept_disk("other/web/earlier", namespace="other"),
        a_kept_disk("default/web/earlier", name="db"),
        a_kept_disk("default/web/earlier", kind="PersistentVolumeClaim"),
        a_kept_disk("default/web/earlier", kind="VirtualMachine"),
        a_kept_disk("default/web/earlier", ownerReferences=[the_server(uid="another")]),
    ],
    ids=lambda disk: json.dumps(disk["metadata"]["annotations"]),
)
def test_no_other_disk_is_adopted(disk: dict[str, Any]) -> None:
    assert not is_ours(a_server(), disk)


def test_a_disk_that_bears_no_mark_gets_one_of_its_server() -> None:
    assert kept_for(a_server(), None) == f"default/web/{UID}"
    assert kept_for(a_server(), a_kept_disk("other/web/earlier")) == f"default/web/{UID}"


@pytest.mark.parametrize("kind", ["DataVolume", "PersistentVolumeClaim"])
@pytest.mark.parametrize("references", [[], [{"kind": "VirtualMachine", "name": "web", "controller": True}]])
@pytest.mark.parametrize("labels", [{}, {names.NAME: "web"}])
def test_fault_47_nobody_is_told_to_delete_a_disk(kind: str, references: list[Any], labels: dict[str, str]) -> None:
    told = describe_owner(a_server(), a_kept_disk(None, kind=kind, ownerReferences=references, labels=labels))
    assert "delete" not in told and "rename" not in told
    command = "kubectl annotate -n default dv web virtualservers.coreweave.com/kept-for=default/web"
    assert (command in told) == (kind == "DataVolume" and not references and bool(labels))
