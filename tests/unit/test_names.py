"""One word a thing: no two classes of the house have the same name."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

_SOURCES = Path(__file__).parents[2] / "src" / "virtualserver"


def test_no_public_class_name_is_defined_twice() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(_SOURCES.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(_SOURCES)))
    assert len(places) > 100
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
