"""Make the CRDs from the sources beside this file and from upstream's schemas.

``python tools/schemas/generate.py`` writes the manifests; with ``--check`` it only says whether they are current.
Upstream's schemas lie in ``src/virtualserver/api/schemas/upstream.json``; the Go program beside this file prints them:
``python tools/schemas/generate.py --upstream`` runs it (needed only after a change of the versions in ``go.mod``).
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, cast

import yaml
from wording import worded

HERE: Final = Path(__file__).parent
PACKAGE: Final = HERE.parent.parent / "src" / "virtualserver"
UPSTREAM: Final = PACKAGE / "api" / "schemas" / "upstream.json"
MANIFESTS: Final = {
    "virtualserver": PACKAGE / "api" / "manifests" / "virtualserver.yaml",
    "virtualserverwait": PACKAGE / "api" / "manifests" / "virtualserverwait.yaml",
    "virtualmachine": PACKAGE / "node" / "manifests" / "virtualmachine.yaml",
    "virtualmachineinstance": PACKAGE / "node" / "manifests" / "virtualmachineinstance.yaml",
    "datavolume": PACKAGE / "node" / "manifests" / "datavolume.yaml",
    "networkattachmentdefinition": PACKAGE / "node" / "manifests" / "networkattachmentdefinition.yaml",
}
ROOTS: Final = (
    "kubevirt.io/api/core/v1.VirtualMachine",
    "kubevirt.io/api/core/v1.VirtualMachineInstance",
    "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1.DataVolume",
    "kubevirt.io/api/core/v1.VolumeSource",
    "k8s.io/api/core/v1.Affinity",
)
"""The upstream types that the sources, or the tests of what is planned, need."""

QUANTITY: Final[dict[str, Any]] = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
    "maxLength": 64,
}
Schema = dict[str, Any]


class Expander:
    """Expands a source's shorthand into a structural schema."""

    def __init__(
        self, upstream: dict[str, Schema], rules: dict[str, list[Schema]], descriptions: dict[str, dict[str, str]]
    ) -> None:
        self._upstream = upstream
        self._rules = rules
        self._descriptions = descriptions

    def expand(self, source: Any) -> Any:
        """Return the schema that a part of a source stands for."""
        if isinstance(source, list):
            return [self.expand(item) for item in cast("list[Any]", source)]
        if not isinstance(source, dict):
            return source
        node = cast("Schema", source)
        own = {key: value for key, value in node.items() if key not in _SHORTHAND}
        schema = self._base(node)
        properties = schema.get("properties", {}) | {
            name: self.expand(value) for name, value in own.pop("properties", {}).items()
        }
        default = {"default": own.pop("default")} if "default" in own else {}
        schema |= {key: self.expand(value) for key, value in own.items()} | default
        if properties:
            schema["properties"] = properties
        for path, limits in node.get("refine", {}).items():
            _find(schema, path).update(self.expand(limits))
        for path, description in node.get("describe", {}).items():
            _find(schema, path)["description"] = description
        if "rules" in node:
            schema["x-kubernetes-validations"] = [_rule(rule) for rule in self._rules[node["rules"]]]
        return worded(schema, node["worded"]) if "worded" in node else schema

    def _base(self, node: Schema) -> Schema:
        if "fragment" in node:
            return self.expand(_read(f"fragments/{node['fragment']}"))
        if "upstream" in node:
            return _only(self._of_upstream(node["upstream"]), node.get("only"))
        if "quantity" in node:
            return copy.deepcopy(QUANTITY) | {
                "x-kubernetes-validations": [_rule(rule) for rule in self._rules["quantity"]]
            }
        if "ports" in node:
            return self.expand(
                {
                    "type": "array",
                    "description": f"The {node['ports']} ports that are open, the same outside and in the guest.",
                    "maxItems": 100,
                    "rules": "ports",
                    "items": {"type": "integer", "format": "int32", "rules": "port"},
                }
            )
        if "secret" in node:
            key = {"type": "string", "maxLength": 512, "rules": "key", "default": node["secret"]}
            name = {"type": "string", "maxLength": 512, "rules": "name"}
            key["description"], name["description"] = "The key in the Secret.", "The Secret's name."
            return self.expand({"type": "object", "required": ["name"], "properties": {"name": name, "key": key}})
        return {}

    def _of_upstream(self, name: str) -> Schema:
        if name.endswith((".resource.Quantity", ".intstr.IntOrString")):
            return {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
        schema = self._inline(self._upstream[name])
        for field, description in self._descriptions.get(name, {}).items():
            schema["properties"][field]["description"] = description
        return schema

    def _inline(self, schema: Any) -> Any:
        """Put types in the place of references, without what a structural schema must not or need not have.

        Lists stay atomic: their order is meaning. Upstream's defaults are Go's zero values, which say nothing.
        """
        if isinstance(schema, list):
            return [self._inline(item) for item in cast("list[Any]", schema)]
        if not isinstance(schema, dict):
            return schema
        fields = cast("Schema", schema)
        if "$ref" in fields:
            return self._of_upstream(fields["$ref"].removeprefix("#/definitions/"))
        return {
            key: {name: self._inline(value) for name, value in value.items()}
            if key == "properties"
            else self._inline(value)
            for key, value in fields.items()
            if key != "default" and not key.startswith("x-kubernetes-")
        }


_SHORTHAND: Final = {
    "fragment",
    "upstream",
    "only",
    "quantity",
    "ports",
    "secret",
    "describe",
    "refine",
    "rules",
    "worded",
}


def _only(schema: Schema, fields: list[str] | None) -> Schema:
    if fields is None:
        return schema
    kept = {name: schema["properties"][name] for name in fields}
    required = [name for name in schema.get("required", []) if name in kept]
    return {key: value for key, value in schema.items() if key not in ("properties", "required")} | {
        "properties": kept,
        **({"required": required} if required else {}),
    }


def _find(schema: Schema, path: str) -> Schema:
    for step in path.split("."):
        schema = schema["properties"][step.removesuffix("[]")]
        if step.endswith("[]"):
            schema = schema["items"]
    return schema


def _rule(source: Schema) -> Schema:
    """Return a CEL validation; one with ``unchanged`` passes where an update leaves alone what breaks it."""
    text = _line(source["rule"])
    if "unchanged" in source:
        same = " && ".join(f"({_line(condition)})" for condition in source["unchanged"])
        text = f"{text} || (oldSelf.hasValue() && {same})"
    rule: Schema = {"rule": text}
    # One that takes oldSelf as it is holds of updates alone.
    if "oldSelf.hasValue()" in text:
        rule["optionalOldSelf"] = True
    rule["message"] = _line(source["message"])
    if "show" in source:
        rule["messageExpression"] = _line(source["show"])
    if "reason" in source:
        rule["reason"] = source["reason"]
    if "path" in source:
        rule["fieldPath"] = source["path"]
    return rule


def _line(text: str) -> str:
    return " ".join(text.split())


def generate(name: str) -> str:
    """Return the manifest that a source makes."""
    upstream = json.loads(UPSTREAM.read_text())
    manifest = _read(name)
    expander = Expander(upstream, _read("rules"), _read("descriptions"))
    for version in manifest["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"] = expander.expand(version["schema"]["openAPIV3Schema"])
    text = yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=120)
    return f"# Made by tools/schemas/generate.py from tools/schemas/sources/{name}.yaml: change that.\n{text}"


def _read(name: str) -> Any:
    return yaml.safe_load((HERE / "sources" / f"{name}.yaml").read_text())


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def main() -> int:
    """Write the manifests, or say which are not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a manifest is not current")
    parser.add_argument("--upstream", action="store_true", help="run the Go program that prints upstream's schemas")
    options = parser.parse_args()
    if options.upstream:
        UPSTREAM.write_bytes(
            subprocess.run(["go", "run", ".", *ROOTS], cwd=HERE, check=True, capture_output=True).stdout
        )
    stale = {name: text for name in MANIFESTS if (text := generate(name)) != _current(MANIFESTS[name])}
    for name, text in stale.items():
        if options.check:
            print(f"{MANIFESTS[name]} is not current: run python tools/schemas/generate.py")
        else:
            MANIFESTS[name].write_text(text)
    return 1 if options.check and stale else 0


def _current(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
