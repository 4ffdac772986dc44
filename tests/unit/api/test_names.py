"""Names that others rely on."""

from __future__ import annotations

from importlib import resources
from typing import Any, cast

import yaml

from virtualserver.api import names
from virtualserver.api.conditions import ConditionType
from virtualserver.api.reasons import Reason


def crd() -> dict[str, Any]:
    text = resources.files("virtualserver").joinpath("api/manifests/virtualserver.yaml").read_text()
    return cast("dict[str, Any]", yaml.load(text, yaml.CSafeLoader))


def test_the_definition_bears_the_names() -> None:
    spec = crd()["spec"]
    assert spec["group"] == names.GROUP == names.DOMAIN
    assert spec["versions"][0]["name"] == names.VERSION
    assert spec["names"] == {
        "kind": names.KIND,
        "listKind": names.LIST_KIND,
        "plural": names.PLURAL,
        "singular": names.SINGULAR,
        "shortNames": ["vs", "vserver"],
    }


def test_the_first_four_conditions_stand_where_clients_look_for_them() -> None:
    expected = ["Ready", "ServicesReady", "VirtualMachineReady", "VirtualServerStarted"]
    assert [str(type_) for type_ in ConditionType][:4] == expected


def test_the_reasons_of_existing_clients_are_there() -> None:
    in_use = """Initializing Pending Terminating Failed VirtualServerReady VirtualServerStarted VirtualServerStopped
    VirtualMachineInstanceShutdown DefinitionDeprecated ServicesCreated WaitingForServices ServicesReady
    VirtualMachineNameTaken VirtualMachineReady SecretCreated WaitingForSecret RootDiskResizeinProgress"""
    assert set(in_use.split()) <= {reason.value for reason in Reason}


def test_every_reason_and_condition_has_a_sentence() -> None:
    for word in (*Reason, *ConditionType):
        assert word.sentence.endswith(".")
        assert type(word.value) is str


def every_field(schema: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    found = [(path, schema)]
    for name, field in schema.get("properties", {}).items():
        found += every_field(field, f"{path}.{name}")
    return found + (every_field(schema["items"], f"{path}[]") if "items" in schema else [])


def test_every_field_of_ours_is_documented_and_typed() -> None:
    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    foreign = ("affinity.", "source.", ".spec.", "Probe.", "dnsConfig.")
    for path, field in every_field(schema["properties"]["spec"], "spec"):
        tail = path.removeprefix("spec.storage.additionalDisks[]").removeprefix("spec.storage.filesystems[]")
        if path.endswith("[]") or any(part in tail for part in foreign):
            continue
        assert field.get("description", "").endswith("."), path
        assert "type" in field or field.get("x-kubernetes-int-or-string"), path


def test_only_floating_addresses_are_untyped() -> None:
    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    untyped = [path for path, field in every_field(schema, "") if "x-kubernetes-preserve-unknown-fields" in field]
    assert untyped == [".spec.network.floatingIPs[]"]
