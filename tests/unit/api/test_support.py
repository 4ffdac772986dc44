"""The tables of what becomes of each field are complete: a schema's new field fails here until it has its line."""

from __future__ import annotations

import copy
import re
from typing import Any

import msgspec
import pytest

from harness import schema_fields
from harness.refusals import RULES, Refusal
from harness.situations import merged
from harness.virtualservers import a_manifest, a_server
from virtualserver.api import validation
from virtualserver.api.faults import InvalidManifest
from virtualserver.api.support.data_volume import DATA_VOLUME
from virtualserver.api.support.field import Effect, Field, Limit, Table, field_of, obstacles, without_effect
from virtualserver.api.support.virtual_machine import INSTANCE, VIRTUAL_MACHINE
from virtualserver.api.support.virtual_server import STORAGE_CLASS, VIRTUAL_SERVER, written
from virtualserver.api.virtualserver import decode

TABLES: dict[str, tuple[Table, list[str]]] = {
    "VirtualServer": (VIRTUAL_SERVER, schema_fields.fields_of_definition("api", "virtualserver")),
    "VirtualMachine": (VIRTUAL_MACHINE, schema_fields.fields_of_definition("node", "virtualmachine")),
    "VirtualMachineInstance": (INSTANCE, schema_fields.fields_of_definition("node", "virtualmachineinstance")),
    "DataVolume": (DATA_VOLUME, schema_fields.fields_of_definition("node", "datavolume")),
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_field_of_a_schema_has_its_line_and_every_line_its_field(kind: str) -> None:
    table, fields = TABLES[kind]
    assert len(fields) > 20
    assert schema_fields.lacking(table, fields) == []
    assert schema_fields.strange(table, fields) == []


def test_a_new_field_is_missed_wherever_it_comes() -> None:
    fields = ["spec.new", "spec.network.new", "spec.storage.root.new", "spec.users[].new", "spec.readinessProbe.new"]
    assert schema_fields.lacking(VIRTUAL_SERVER, fields) == fields
    assert schema_fields.lacking(VIRTUAL_SERVER, ["spec.affinity.new", "spec.readinessProbe.exec.new"]) == []
    assert schema_fields.strange(VIRTUAL_SERVER[:1], []) == []
    assert schema_fields.strange([Field("spec.gone", Effect.NOW)], fields) == ["spec.gone"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.why)
def test_what_is_refused_at_apply_is_said_of_its_field(rule: Refusal) -> None:
    """Of the rules that are judged here too: the rest is the schema's."""
    manifest = merged(a_manifest(), {"spec": rule.refused})
    try:
        server = decode(manifest)
    except InvalidManifest as invalid:
        found = [*invalid.faults]
    else:
        found = validation.validate(server)
    for fault in found:
        if fault.path in ("spec", "spec.network", "spec.resources") or re.fullmatch(r"spec\.users\[\d+\]", fault.path):
            continue  # of several fields, each of which says it
        field = field_of(VIRTUAL_SERVER, re.sub(r"\[\d+\]", "[]", fault.path))
        assert field is not None and field.refused, fault


def test_what_asks_for_nothing_is_not_named() -> None:
    table = (
        Field("spec.a", Effect.NAMED, usual=("plain", True)),
        Field("spec.b[].c", Effect.NAMED),
        Field("spec.d", Effect.NAMED, even_empty=True),
        Field("spec.e", Effect.OBSTACLE),
        Field("spec.f", Effect.NOW, limits=(Limit("half of spec.f", lambda one: "f" in one["spec"], "always"),)),
    )
    nothing: dict[str, Any] = {
        "a": "plain",
        "b": [{"c": ""}, {"c": None}, {"c": False}, {"other": 1}],
        "d": None,
        "e": {"x": {"y": []}},
    }
    assert without_effect(table, {"spec": nothing}) == []
    assert not obstacles(table, {"spec": nothing})
    something: dict[str, Any] = {"a": "other", "b": [{}, {"c": 1}], "d": {}, "e": {"x": {"y": [0]}}, "f": 1}
    assert without_effect(table, {"spec": something}) == ["spec.a", "spec.b[1].c", "spec.d", "half of spec.f"]
    assert without_effect(table, {"spec": {"a": "here"}}, served={"spec.a": {"here"}}) == []
    assert list(obstacles(table, {"spec": something})) == ["spec.e"]
    strange: dict[str, Any] = {"a": ["of another type"], "b": {"c": 1}, "e": 5}
    assert without_effect(table, {"spec": strange}) == ["spec.a"]
    assert without_effect(table, {"spec": {"a": True}}) == [] != without_effect(table, {"spec": {"a": False}})


def test_a_server_without_wishes_is_written_as_such() -> None:
    server = a_server(storage={"root": copy.deepcopy(a_manifest()["spec"]["storage"]["root"])})
    assert (
        without_effect(VIRTUAL_SERVER, written(server), served={"spec.storage.root.storageClassName": {"local"}}) == []
    )
    assert not obstacles(VIRTUAL_SERVER, written(server))


def test_what_the_api_server_fills_in_asks_for_nothing() -> None:
    """Every server had FullyApplied False, because of the definition that its user did not write."""
    filled = {
        "os": {"definition": "a", "enableUEFIBoot": False},
        "resources": {"definition": "a"},
        "storage": {"root": {"accessMode": "ReadWriteOnce", "volumeMode": "Block", "ephemeral": False}},
        "network": {"dnsPolicy": "ClusterFirst"},
    }
    # Read as the client reads it: a text that equals a default is another object than that.
    read = msgspec.json.decode(msgspec.json.encode(merged(a_manifest(), {"spec": filled})))
    assert without_effect(VIRTUAL_SERVER, written(decode(read)), served={STORAGE_CLASS: ["local"]}) == []
