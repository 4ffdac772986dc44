"""The fields that a client can write of a kind, from its schema, and what a table of `virtualserver.api.support` lacks.

A field that has no fields of its own is one; those of a list's items are written with ``[]``.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from virtualserver.api.support.field import Table

__all__ = ["fields_of_definition", "fields_of_schema", "lacking", "strange"]

_METADATA = ("metadata.labels", "metadata.annotations")
"""What schemas do not say, and every client can write."""


def fields_of_definition(part: str, file: str) -> list[str]:
    """Return the fields of the ``spec`` that a definition of ours has.

    Args:
        part: The room that it lies in.
        file: Its name, without its ending.
    """
    text = resources.files("virtualserver").joinpath(part, "manifests", f"{file}.yaml").read_text()
    definition = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    (version,) = definition["spec"]["versions"]
    return sorted(fields_of_schema(version["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec"))


def fields_of_schema(schema: dict[str, Any], path: str) -> Iterator[str]:
    """Yield the fields of a schema that stands at a path."""
    if "items" in schema:
        yield from fields_of_schema(schema["items"], f"{path}[]")
    elif properties := schema.get("properties"):
        for name, inner in properties.items():
            yield from fields_of_schema(inner, f"{path}.{name}")
    else:
        yield path


def lacking(table: Table, fields: Iterable[str]) -> list[str]:
    """Return the fields that have no line: neither their own, nor that of one above that says it for all below."""
    paths = {field.path for field in table}
    whole = {path for path in paths if not any(_is_below(other, path) for other in paths)}
    return [one for one in fields if one not in paths and not any(_is_below(one, path) for path in whole)]


def strange(table: Table, fields: Iterable[str]) -> list[str]:
    """Return the lines that are of no field, or of one that has another line."""
    known, paths = list(fields), [field.path for field in table]
    return [
        path
        for path in paths
        if paths.count(path) > 1 or not (path in _METADATA or any(one == path or _is_below(one, path) for one in known))
    ]


def _is_below(path: str, above: str) -> bool:
    return path.startswith((f"{above}.", f"{above}["))
