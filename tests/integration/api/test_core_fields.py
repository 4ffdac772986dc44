"""The tables of Kubernetes' own kinds have every field that this kube-apiserver takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness import schema_fields
from virtualserver.api.support.data_volume import PERSISTENT_VOLUME_CLAIM
from virtualserver.api.support.service import NETWORK_POLICY, SERVICE

if TYPE_CHECKING:
    from harness.api_server import Server
    from virtualserver.api.support.field import Table


@pytest.mark.parametrize(
    ("group", "kind", "table"),
    [
        ("api/v1", "io.k8s.api.core.v1.ServiceSpec", SERVICE),
        ("api/v1", "io.k8s.api.core.v1.PersistentVolumeClaimSpec", PERSISTENT_VOLUME_CLAIM),
        ("apis/networking.k8s.io/v1", "io.k8s.api.networking.v1.NetworkPolicySpec", NETWORK_POLICY),
    ],
)
def test_every_field_of_a_kind_has_its_line_and_every_line_its_field(
    server: Server, group: str, kind: str, table: Table
) -> None:
    schemas: dict[str, Any] = server.call("GET", f"/openapi/v3/{group}")["components"]["schemas"]
    fields = list(schema_fields.fields_of_schema(resolved(schemas, kind), "spec"))
    assert len(fields) > 5
    assert schema_fields.lacking(table, fields) == []
    assert schema_fields.strange(table, fields) == []


def resolved(schemas: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a schema with those that its properties refer to in their places."""
    schema = dict(schemas[kind])
    schema["properties"] = {name: inlined(schemas, inner) for name, inner in schema.get("properties", {}).items()}
    return schema


def inlined(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a property; what it refers to stands alone in ``allOf`` there."""
    reference = schema.get("$ref") or next((one["$ref"] for one in schema.get("allOf", ()) if "$ref" in one), None)
    if reference:
        return resolved(schemas, reference.rpartition("/")[2])
    return {**schema, "items": inlined(schemas, schema["items"])} if "items" in schema else schema
