"""docs/site.md has every key that a site profile has, its default and its words, and examples that are read."""

from __future__ import annotations

import enum
import inspect
import json
import re
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from virtualserver.plan import sites
from virtualserver.plan.sites.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[4] / "docs/site.md").read_text()
ROWS = re.findall(r"^\| `([^`]+)` \| (?:`([^`]+)`)? ?\| (.+) \|$", PAGE, re.MULTILINE)


class Key(typing.NamedTuple):
    """A key of the profile, as the page writes it."""

    path: str
    default: str
    words: tuple[str, ...]


def keys(type_: type[msgspec.Struct] = Profile, path: str = "") -> Iterator[Key]:
    for field in msgspec.structs.fields(type_):
        inner = f"{path}{field.encode_name}"
        for part, is_list in structs_in(field.type):
            yield from keys(part, f"{inner}[]." if is_list == "list" else f"{inner}.{is_list}")
        if not list(structs_in(field.type)):
            has_default = field.default is not msgspec.NODEFAULT and field.default is not None
            default = json.dumps(msgspec.to_builtins(field.default)) if has_default else ""
            yield Key(inner, default, tuple(words_in(field.type)))


def structs_in(type_: Any) -> Iterator[tuple[type[msgspec.Struct], str]]:
    if inspect.isclass(type_) and issubclass(type_, msgspec.Struct):
        yield type_, ""
    origin = typing.get_origin(type_)
    how = "list" if origin is tuple else "NAMESPACE." if origin is dict else ""
    for argument in typing.get_args(type_):
        yield from ((part, how or inner) for part, inner in structs_in(argument))


def words_in(type_: Any) -> Iterator[str]:
    if inspect.isclass(type_) and issubclass(type_, enum.Enum):
        yield from (str(member.value) for member in type_)
    for argument in typing.get_args(type_):
        yield from words_in(argument)


def test_the_page_has_the_keys_with_their_defaults() -> None:
    assert sorted((path, default) for path, default, _ in ROWS) == sorted((key.path, key.default) for key in keys())


@pytest.mark.parametrize("key", [key for key in keys() if key.words], ids=lambda key: key.path)
def test_the_page_has_every_word_of_a_key(key: Key) -> None:
    (said,) = (text for path, _, text in ROWS if path == key.path)
    assert [word for word in key.words if f"`{word}`" not in said] == []


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_are_read(example: str) -> None:
    sites.load(example, installed=["public", "private"])
