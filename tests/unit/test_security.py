"""docs/security.md names tests that exist, and a test for each row that says what somebody cannot do."""

from __future__ import annotations

import ast
import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def _page() -> str:
    return (CHECKOUT / "docs" / "security.md").read_text()


def _defined(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    nodes = ast.walk(ast.parse(file.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_the_page_names_exists() -> None:
    named = _TEST.findall(_page())
    assert len(named) > 20
    assert [f"{file}::{name}" for file, name in named if name not in _defined(CHECKOUT / file)] == []


def test_every_attack_on_the_page_has_its_test() -> None:
    attacks = _page().partition("## What a user of a namespace cannot do")[2]
    rows = [line for line in attacks.splitlines() if line.startswith("| ") and not line.startswith("| attack |")]
    assert len(rows) > 15
    assert [row for row in rows if not _TEST.search(row)] == []


def test_ten_attacks_and_more_show_no_fault_that_was_found_before() -> None:
    own = _page().partition("## Beyond the faults that were found")[2]
    tests = {name for _, name in _TEST.findall(own)}
    assert len(tests) >= 10
    assert [name for name in tests if "fault" in name] == []
