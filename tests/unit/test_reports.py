"""What users of other projects reported in public is a test here: each report is found by its name in a docstring."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]

_REPORT: Final = re.compile(
    r"\b((?:canonical/lxd|canonical/cloud-init|harvester/harvester|kubevirt/kubevirt|metallb/metallb|hetznercloud/cli)#\d+)"
)
"""A project on GitHub and the number of one of its issues or pull requests."""


def named() -> set[str]:
    """Return the reports that tests name; comments and helpers do not count."""
    found: set[str] = set()
    for file in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found |= set(_REPORT.findall(ast.get_docstring(node) or ""))
    return found


def test_ten_public_reports_and_more_are_tests() -> None:
    found = named()
    assert len(found) >= 10, sorted(found)
    projects = {report.partition("#")[0] for report in found}
    assert {"canonical/lxd", "canonical/cloud-init", "harvester/harvester", "kubevirt/kubevirt", "metallb/metallb"} <= (
        projects
    )
