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


def test_everything_on_the_page_has_its_test() -> None:
    """Each attack, who may what, and each paragraph but the words before a table."""
    told = [
        line for line in _page().splitlines() if line and not line.startswith(("#", "|---", "| attack |", "| who |"))
    ]
    rows = [line for line in told if line.startswith("| ")]
    words = [line for line in told if not line.startswith("| ")]
    assert len(rows) > 60
    assert [row for row in rows if not _TEST.search(row)] == [row for row in rows if row.startswith("| root of the")]
    assert [line.split()[0] for line in words if not _TEST.search(line)] == ["Who", "Each", "Attacks"]


def test_ten_attacks_and_more_show_no_fault_that_was_found_before() -> None:
    own = _page().partition("## Beyond the faults that were found")[2]
    tests = {name for _, name in _TEST.findall(own)}
    assert len(tests) >= 10
    assert [name for name in tests if "fault" in name] == []
