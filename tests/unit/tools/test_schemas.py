"""The committed definitions are what the generator makes of the committed sources."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import generate
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

CRD = yaml.load(generate.MANIFESTS["virtualserver"].read_text(), yaml.CSafeLoader)
SERVER = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
IN_OTHER_WORDS = {"enum", "required", "pattern", "minimum", "maximum", "minLength", "minItems", "multipleOf"}


@pytest.mark.parametrize("name", generate.MANIFESTS)
def test_generating_gives_the_committed_bytes(name: str) -> None:
    assert generate.MANIFESTS[name].read_text() == generate.generate(name)


def test_upstreams_prose_is_not_committed() -> None:
    assert '"description": "' not in generate.UPSTREAM.read_text()


def test_no_bound_is_told_in_words_that_are_not_ours_or_before_all_others() -> None:
    """CRD schema errors hide CEL rules: faults came in two rounds (fault 29)."""
    told = {
        f"{path}: {key}"
        for path, schema in nodes(SERVER["properties"]["spec"], "spec")
        for key in IN_OTHER_WORDS & schema.keys()
    }
    # What has no type has no rules.
    assert told == {"spec.network.floatingIPs[]: pattern"}


def test_kubectl_explain_describes_every_field() -> None:
    """Fields of upstream's types had no description (fault 50)."""
    fields = [(path, field) for path, field in nodes(SERVER, "vs") if path[-1] not in "]}" and path != "vs.metadata"]
    assert [path for path, field in fields if not field.get("description", "").endswith(".")] == []
    assert [path for path, field in fields if "  " in field["description"] or "\n" in field["description"]] == []
    assert len(fields) > 400


def test_a_description_is_of_a_field_that_there_is() -> None:
    upstream = json.loads(generate.UPSTREAM.read_text())
    described = yaml.safe_load((generate.HERE / "sources" / "descriptions.yaml").read_text())
    assert {f"{type_}.{name}" for type_, fields in described.items() for name in fields} <= {
        f"{type_}.{name}" for type_, schema in upstream.items() for name in schema.get("properties", {})
    }


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field of a schema, and every item and value, with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for key, end in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}{end}")
