"""The situations of a server: what it asks for, what exists, and what a plan makes of it.

A folder under ``tests/unit/plan/golden`` is a whole example, for readers: ``virtualserver.yaml`` and, where something
exists already, ``observed.yaml``; ``objects.yaml`` (in the order in which they are applied, then what is removed) and
``userdata.yaml`` (what the Secret holds) are the outcome.

``situations.yaml`` there is the table of all situations. Each row has the addresses and the five conditions of the
status. A row without a folder of its name says in what it differs from one: ``from`` names the folder, ``server`` and
``exists`` are merge patches (RFC 7396) on its manifest and on what exists, keyed by kind and name; ``objects`` names
the folder whose objects it has, or is ``{like: FOLDER, but: PATCH}``; without it, nothing is applied or removed.
"""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any, cast

import yaml

GOLDEN = Path(__file__).parents[1] / "unit" / "plan" / "golden"
TABLE = GOLDEN / "situations.yaml"

Manifest = dict[str, Any]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclasses.dataclass(frozen=True)
class Example:
    """One situation.

    Attributes:
        name: Of the row, and of the folder where there is one.
        shows: What it is an example of: one sentence.
        server: The VirtualServer.
        found: What exists, by kind and name.
        objects: What is applied, and what is removed, by kind and name.
        userdata: What the Secret holds, None where none is applied.
        network: ``status.network``.
        conditions: By type: status, reason and message, with spaces between them.
    """

    name: str
    shows: str
    server: Manifest
    found: dict[str, Manifest]
    objects: dict[str, Manifest]
    userdata: str | None
    network: Manifest
    conditions: dict[str, str]


def merged(value: Any, patch: Any) -> Any:
    """Return a value with a merge patch applied, the value itself unchanged."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result: Manifest = copy.deepcopy(cast("Manifest", value)) if isinstance(value, dict) else {}
    for key, change in cast("Manifest", patch).items():
        if change is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), change)
    return result


def keyed(documents: list[Manifest]) -> dict[str, Manifest]:
    """Return objects by kind and name; what is removed by ``remove``, kind and name."""
    return {_key(document): document for document in documents}


def _key(document: Manifest) -> str:
    if "remove" in document:
        return f"remove {document['remove']['kind']} {document['remove']['name']}"
    return f"{document['kind']} {document['metadata']['name']}"


def folders() -> list[str]:
    """Return the names of the whole examples."""
    return sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


def table() -> dict[str, Manifest]:
    """Return the rows as they are written."""
    return yaml.load(TABLE.read_text(), Loader=_Loader)


def examples() -> dict[str, Example]:
    """Return all situations by name."""
    return {name: _example(name, row) for name, row in table().items()}


def _example(name: str, row: Manifest) -> Example:
    origin = row.get("from", name)
    objects: str | Manifest = row.get("objects", "") if "from" in row else name
    like = objects if isinstance(objects, str) else objects["like"]
    but: Manifest = {} if isinstance(objects, str) else objects["but"]
    return Example(
        name=name,
        shows=row["shows"] if "from" in row else _first_line(name),
        server=merged(_read(origin, "virtualserver.yaml")[0], row.get("server", {})),
        found=merged(keyed(_read(origin, "observed.yaml")), row.get("exists", {})),
        objects=merged(keyed(_read(like, "objects.yaml")), but) if like else {},
        userdata=_userdata(like) if like else None,
        network={"internalIP": "", "externalIP": "", "serviceIP": "", "floatingIPs": {}, **row.get("addresses", {})},
        conditions=row.get("conditions", {}),
    )


def _userdata(folder: str) -> str | None:
    """Return what the Secret of a whole example holds, None where it has none."""
    path = GOLDEN / folder / "userdata.yaml"
    return path.read_text() if path.exists() else None


def _read(folder: str, file: str) -> list[Manifest]:
    path = GOLDEN / folder / file
    return list(yaml.load_all(path.read_text(), Loader=_Loader)) if path.exists() else []


def _first_line(folder: str) -> str:
    line, _, _ = (GOLDEN / folder / "virtualserver.yaml").read_text().partition("\n")
    return line.removeprefix("# ")
