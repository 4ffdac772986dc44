"""Says whether a manifest is a valid object of KubeVirt's, CDI's or Multus's, by upstream's own schemas.

Unknown fields are refused, which a cluster would silently drop. Beside the schema stand the rules of KubeVirt's
admission that planned machines meet. Source of these: kubevirt v1.8.2, pkg/network/admitter and
pkg/virt-api/webhooks/validating-webhook/admitters.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

import jsonschema

from virtualserver.api import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["assert_valid_data_volume", "assert_valid_virtual_machine", "faults_of_data_volume", "faults_of_machine"]

_VIRTUAL_MACHINE = "kubevirt.io.api.core.v1.VirtualMachine"
_DATA_VOLUME = "kubevirt.io.containerized-data-importer-api.pkg.apis.core.v1beta1.DataVolume"
_BINDINGS = ("bridge", "masquerade", "passtBinding", "sriov", "binding")


def assert_valid_virtual_machine(manifest: Mapping[str, Any]) -> None:
    """Fail with every fault of a kubevirt.io/v1 VirtualMachine."""
    faults = faults_of_machine(manifest)
    assert not faults, "\n".join(faults)


def assert_valid_data_volume(manifest: Mapping[str, Any]) -> None:
    """Fail with every fault of a cdi.kubevirt.io/v1beta1 DataVolume."""
    faults = faults_of_data_volume(manifest)
    assert not faults, "\n".join(faults)


def faults_of_machine(manifest: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a VirtualMachine, by schema and by admission."""
    return [*_by_schema(manifest, "kubevirt.io/v1", "VirtualMachine", _VIRTUAL_MACHINE), *_by_admission(manifest)]


def faults_of_data_volume(manifest: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a DataVolume, by schema."""
    return [*_by_schema(manifest, "cdi.kubevirt.io/v1beta1", "DataVolume", _DATA_VOLUME)]


def _by_schema(manifest: Mapping[str, Any], api_version: str, kind: str, type_: str) -> Iterator[str]:
    if (manifest.get("apiVersion"), manifest.get("kind")) != (api_version, kind):
        yield f"{manifest.get('apiVersion')} {manifest.get('kind')} is not {api_version} {kind}"
    if not manifest.get("metadata", {}).get("name"):
        yield "metadata.name: is required"
    # Python types of ours that are JSON on the wire (enumerations, tuples) are what is sent.
    document = json.loads(json.dumps(manifest))
    errors: list[jsonschema.ValidationError] = list(_validator(type_).iter_errors(document))  # pyright: ignore[reportUnknownMemberType]
    for error in sorted(errors, key=lambda error: error.json_path):
        yield f"{error.json_path}: {error.message}"


@functools.cache
def _validator(type_: str) -> jsonschema.Draft202012Validator:
    raw = json.loads(resources.files("virtualserver").joinpath("api/schemas/upstream.json").read_bytes())
    definitions = {name: _closed(schema) for name, schema in raw.items()}
    definitions["k8s.io.apimachinery.pkg.api.resource.Quantity"] = {"format": "quantity", "type": ["string", "number"]}
    definitions["k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1"] = {"type": "object"}
    checker = jsonschema.FormatChecker(formats=())
    checker.checks("quantity", raises=quantity.QuantityError)(_is_quantity)
    schema = {"definitions": definitions, "$ref": f"#/definitions/{type_}"}
    return jsonschema.Draft202012Validator(schema, format_checker=checker)


def _is_quantity(value: Any) -> bool:
    return quantity.parse(value) >= 0


def _closed(schema: Any) -> Any:
    """Refuse, at every level, the fields that a type does not have."""
    if isinstance(schema, list):
        return [_closed(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    closed: dict[str, Any] = {
        key: {name: _closed(item) for name, item in value.items()} if key == "properties" else _closed(value)
        for key, value in cast("dict[str, Any]", schema).items()
    }
    if closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def _by_admission(manifest: Mapping[str, Any]) -> Iterator[str]:
    spec = manifest.get("spec", {})
    if "runStrategy" in spec and "running" in spec:
        yield "$.spec: running and runStrategy exclude each other"
    machine = spec.get("template", {}).get("spec", {})
    devices = machine.get("domain", {}).get("devices", {})
    networks, interfaces = machine.get("networks", []), devices.get("interfaces", [])
    volumes, disks = machine.get("volumes", []), [*devices.get("disks", []), *devices.get("filesystems", [])]
    yield from _unique("networks", networks)
    yield from _unique("interfaces", interfaces)
    yield from _unique("volumes", volumes)
    yield from _unique("disks", disks)
    yield from _matched("interface", _names(interfaces), "network", _names(networks))
    yield from _matched("network", _names(networks), "interface", _names(interfaces))
    yield from _matched("disk", _names(disks), "volume", _names(volumes))
    yield from _matched("volume", _names(volumes), "disk", _names(disks))
    if sum("pod" in network for network in networks) > 1:
        yield "networks: more than one pod network"
    for item in (*networks, *volumes):
        if len(item) != 2:
            yield f"{item.get('name')}: needs exactly one source, has {sorted(set(item) - {'name'})}"
    for interface in interfaces:
        if sum(binding in interface for binding in _BINDINGS) != 1:
            yield f"interface {interface.get('name')}: needs exactly one binding"
    if machine.get("dnsPolicy") == "None" and not machine.get("dnsConfig", {}).get("nameservers"):
        yield "dnsPolicy None: needs a name server"
    memory = machine.get("domain", {}).get("memory", {}).get("guest")
    if memory is None and "memory" not in machine.get("domain", {}).get("resources", {}).get("requests", {}):
        yield "domain: no memory is given"


def _names(items: Iterable[Mapping[str, Any]]) -> list[str]:
    return [item.get("name", "") for item in items]


def _unique(what: str, items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    names = _names(items)
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{what}: {name} is repeated"


def _matched(what: str, names: Iterable[str], other: str, others: Iterable[str]) -> Iterator[str]:
    for name in sorted(set(names) - set(others)):
        yield f"{what} {name}: no {other} has its name"
