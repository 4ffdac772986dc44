"""The old form of a definition says what the new one says."""

from __future__ import annotations

from typing import Any

from virtualserver.node.served import definitions

COLUMN = {"name": "status", "type": "string", "jsonPath": ".status.phase"}


def a_definition(*names: str) -> dict[str, Any]:
    versions: list[dict[str, Any]] = [
        {
            "name": name,
            "served": True,
            "storage": name == names[0],
            "schema": {"openAPIV3Schema": {"type": "object", "description": name}},
            "subresources": {"status": {}},
            "additionalPrinterColumns": [COLUMN],
        }
        for name in names
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Thing"}, "versions": versions},
    }


def test_of_one_version_schema_and_columns_stand_at_the_top() -> None:
    old = definitions.as_v1beta1(a_definition("v1"))
    assert old["apiVersion"] == "apiextensions.k8s.io/v1beta1"
    spec = old["spec"]
    assert spec["version"] == "v1"
    assert spec["versions"] == [{"name": "v1", "served": True, "storage": True}]
    assert spec["validation"]["openAPIV3Schema"]["description"] == "v1"
    assert spec["additionalPrinterColumns"] == [{"name": "status", "type": "string", "JSONPath": ".status.phase"}]
    assert spec["subresources"] == {"status": {}}


def test_of_several_versions_each_keeps_its_own() -> None:
    spec = definitions.as_v1beta1(a_definition("v2", "v1"))["spec"]
    assert [one["schema"]["openAPIV3Schema"]["description"] for one in spec["versions"]] == ["v2", "v1"]
    assert "validation" not in spec


def test_the_definition_itself_is_left_as_it_is() -> None:
    live = a_definition("v1")
    definitions.as_v1beta1(live)
    assert live == a_definition("v1")


def test_discovery_does_not_show_the_old_version() -> None:
    assert definitions.resource_list()["resources"] == []
