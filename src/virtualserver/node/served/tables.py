"""Objects that are read only, as clients of Kubernetes ask for them: one, a list, or a table; pure.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, Literal

from virtualserver.kube import fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.kube.objects import Manifest, Resource

__all__ = ["Column", "View", "listed", "tabled", "wants_table"]

_META: Final = "meta.k8s.io/v1"


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: Its heading.
        field: Of the status: what stands in it; the parts of a list are joined, of a mapping the keys.
        description: What it says.
        type: Of what stands in it.
        is_wide: Whether it is printed with ``-o wide`` only.
    """

    name: str
    field: str
    description: str
    type: Literal["string", "integer"] = "string"
    is_wide: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """A kind of objects that are read only.

    Attributes:
        resource: How they are addressed.
        singular: The resource's name for one.
        columns: What kubectl prints, after the name.
    """

    resource: Resource
    singular: str
    columns: Sequence[Column]

    def made(self, name: str, status: Mapping[str, Any], *, namespace: str = "") -> dict[str, Any]:
        """Return one object."""
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        kind = {"kind": self.resource.kind, "apiVersion": self.resource.api_version}
        return {**kind, "metadata": metadata, "status": dict(status)}


def wants_table(accept: str) -> bool:
    """Return whether a client asks for a table: kubectl names it first, and JSON after it."""
    return "as=Table" in accept and "g=meta.k8s.io" in accept


def listed(view: View, items: Sequence[Manifest]) -> dict[str, Any]:
    """Return a list of objects."""
    kind = {"kind": f"{view.resource.kind}List", "apiVersion": view.resource.api_version}
    return {**kind, "metadata": {}, "items": list(items)}


def tabled(view: View, items: Sequence[Manifest], *, include: str = "Metadata") -> dict[str, Any]:
    """Return a table of objects.

    Args:
        view: Their kind.
        items: The objects.
        include: What of each stands beside its cells: ``Object``, ``Metadata`` or ``None``.
    """
    name = Column("Name", "", "The object's name.")
    columns = [
        {
            "name": one.name,
            "type": one.type,
            "format": "name" if one is name else "",
            "description": one.description,
            "priority": int(one.is_wide),
        }
        for one in (name, *view.columns)
    ]
    rows: list[dict[str, Any]] = []
    for item in items:
        status = fields.mapping(item, "status")
        cells = [item["metadata"]["name"], *(_cell(status.get(column.field)) for column in view.columns)]
        rows.append({"cells": cells, "object": _beside(item, include)})
    return {"kind": "Table", "apiVersion": _META, "metadata": {}, "columnDefinitions": columns, "rows": rows}


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple | dict):
        return ",".join(map(str, value)) or "<none>"  # pyright: ignore[reportUnknownArgumentType]
    return "<none>" if value is None else value


def _beside(item: Manifest, include: str) -> Manifest | None:
    if include == "Object":
        return item
    if include == "None":
        return None
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": item["metadata"]}
