"""Numbers in messages: one of something is no several."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import virtualserver
from virtualserver.host.counts import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

NEVER_ONE: Final = {"characters", "bytes", "packages", "files", "multus", "user"}
"""What is counted in messages that are only there where it is many: lengths past a bound, lists that are fixed."""


@pytest.mark.parametrize(("count", "told"), [(0, "0 keys"), (1, "1 key"), (2, "2 keys")])
def test_a_number_agrees_with_what_is_counted(count: int, told: str) -> None:
    assert counted(count, "key") == told


def test_a_word_has_its_own_plural_and_may_be_several_words() -> None:
    assert [counted(count, "address", "addresses") for count in (1, 16)] == ["1 address", "16 addresses"]
    assert counted(1, "is in use", "are in use") == "1 is in use"


def test_every_message_that_counts_a_list_has_one_of_it_too() -> None:
    found = {f"{path}: {told}" for path, told in _counting() if re.split(r"\W", told)[0] not in NEVER_ONE}
    assert not found, f"use host.counts.counted: {found}"


def _counting() -> Iterator[tuple[str, str]]:
    """Yield what follows the length of a list in each f-string, where it is a word in the plural, or ``word(s)``."""
    root = Path(virtualserver.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.JoinedStr):
                continue
            for value, after in zip(node.values, node.values[1:], strict=False):
                if not isinstance(value, ast.FormattedValue) or not ast.unparse(value.value).startswith("len("):
                    continue
                told = str(after.value) if isinstance(after, ast.Constant) else ""
                if re.match(r" (?!more\b)([a-zA-Z]+s\b|[a-zA-Z]+\(s\)|belong\b|multus\b|user\b)", told):
                    yield str(path.relative_to(root)), told.strip()
