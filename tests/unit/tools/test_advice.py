"""Messages that tell people to do something to an object or a process name the command that does it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = Path(__file__).parents[3] / "src/virtualserver"
ACT = re.compile(
    r"\b(start|stop|restart|delete|end|pause|install|create) (it|that|them|one|some|another|those)\b|\bmake room\b"
)
"""What somebody is told to do, to something that is no field of a manifest: those are named by their place."""
COMMAND = re.compile(r"\b(vs|kubectl|apt-get|rm|vs_[a-z]+) [a-z-]|command\(|`|Ctrl-|VS_[A-Z]+")
SPOKEN = frozenset(
    {
        "machine {identifier} runs; stop it before it is discarded",  # one part of the program to another
        "written by a newer program: install that one again",
        "end some of the programs that listen there",
    }
)


def messages(tree: ast.AST) -> Iterator[str]:
    """Yield the texts of a module that are no docstrings, with the expressions in them."""
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(value.value) if isinstance(value, ast.Constant) else ast.unparse(value) for value in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (parts | docs):
            yield node.value


def nameless(text: str) -> bool:
    """Return whether a text tells somebody to do what no command in it does."""
    return bool(ACT.search(text)) and not COMMAND.search(text) and not any(one in text for one in SPOKEN)


@pytest.mark.parametrize(
    ("text", "is_nameless"),
    [
        ("128Mi are free on this machine: stop another server", True),
        ("128Mi are free on this machine: stop another server (vs stop NAME)", False),
        ("Service web is in the way: delete it", True),
        ("it is stopped; to start it: {driver.command(server, 'start')}", False),
        ("ports: 0: remove it", False),
    ],
)
def test_it_knows_advice_from_the_names_of_fields(text: str, is_nameless: bool) -> None:
    assert nameless(text) is is_nameless


def test_every_message_that_tells_to_do_something_names_the_command() -> None:
    found = [
        f"{path.relative_to(SOURCES)}: {text}"
        for path in sorted(SOURCES.rglob("*.py"))
        for text in messages(ast.parse(path.read_text()))
        if nameless(text)
    ]
    assert not found, "\n".join(found)
