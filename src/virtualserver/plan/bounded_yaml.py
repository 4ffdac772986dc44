"""YAML of somebody who may mean harm, read in bounded time and memory.

YAML's aliases let a text of a kilobyte stand for more than any memory holds, its directives, numbers and keys have
forms that take minutes to read, and its library raises whatever Python does for a value that is none. So a text is
first read event by event, which makes nothing of it, and is loaded only where it keeps the bounds below.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Final, NamedTuple

import yaml

__all__ = ["CHARACTERS", "DIRECTIVES", "NESTING", "NODES", "RepeatedKey", "YAMLFault", "load", "repeated_keys"]

NESTING: Final = 100
"""Levels of lists and mappings in each other: libyaml's loader ends the whole process where there are too many."""

NODES: Final = 10_000
"""Lists, mappings, keys and values; what an alias stands for counts wherever the alias stands."""

CHARACTERS: Final = 1024 * 1024
"""Characters of keys and values, counted likewise: as many as fit in a Secret."""

DIRECTIVES: Final = 8
"""Lines that begin with ``%``: libyaml compares each ``%TAG`` with all those before it."""

_NUMBER: Final = 1000
"""Characters of a number or time: to add up ``1:1:1:...`` with more of them takes minutes."""

_NUMBER_AS_KEY: Final = 20
"""The same where it is a key: many longer numbers may have one hash, and a mapping of them takes minutes."""

_DIRECTIVE: Final = re.compile(r"^%", re.MULTILINE)
_TAG: Final = "tag:yaml.org,2002:"
_NUMBERS: Final = {f"{_TAG}{word}" for word in ("int", "float", "timestamp")}


class YAMLFault(ValueError):
    """A text is no YAML, or goes beyond a bound; its words name the place.

    Attributes:
        outline: What is wrong and where, without a word of the text, which may be a Secret's.
        remedy: What to do.
    """

    def __init__(self, problem: str, mark: Any, *, quoting: str = "", remedy: str = "correct it") -> None:
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        super().__init__(f"{problem}{where}{quoting}")
        self.outline = f"{problem}{where}"
        self.remedy = remedy


class RepeatedKey(NamedTuple):
    """A key that a mapping has more than once, so that only its last value counts.

    Attributes:
        key: As it is written.
        first: The line of the one before, from 1.
        again: The line in which it is repeated, from 1.
    """

    key: str
    first: int
    again: int


def repeated_keys(text: str) -> list[RepeatedKey]:
    """Return the keys that are repeated, in the order of their lines.

    Args:
        text: One that `load` reads.
    """
    found: list[RepeatedKey] = []
    seen: set[int] = set()  # what aliases stand for is looked at once
    waiting: list[Any] = [yaml.compose(text, Loader=_PARSER)]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            lines: dict[tuple[str, str], int] = {}
            for key, value in node.value:
                waiting.append(value)
                if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
                    line, likeness = key.start_mark.line + 1, (key.tag, key.value)
                    if likeness in lines:
                        found.append(RepeatedKey(key.value, lines[likeness], line))
                    lines[likeness] = line
    return sorted(found, key=lambda one: one.again)


def load(text: str) -> Any:
    """Return what a text of YAML's safe types says, None for an empty one.

    What aliases stand for is shared, not copied, and nothing contains itself.

    Raises:
        YAMLFault: The text is no YAML, has a value that cannot be read, or goes beyond a bound of this module.
    """
    try:
        _keep_bounds(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise YAMLFault("is no YAML", mark, quoting=f" ({getattr(error, 'problem', None) or error})") from error


@dataclasses.dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been read.

    Attributes:
        anchor: By which aliases mean it, None where it has none.
        nodes: All that were counted before it.
        characters: Likewise.
        height: Levels in it so far.
    """

    anchor: str | None
    nodes: int
    characters: int
    height: int = 0


def _keep_bounds(text: str) -> None:
    """Read a text's events up to where it goes beyond a bound.

    Raises:
        YAMLFault: It does, or an alias stands for what contains it.
        yaml.YAMLError: It is no YAML.
    """
    if sum(1 for _ in _DIRECTIVE.finditer(text)) > DIRECTIVES:
        problem = f"has more than {DIRECTIVES} lines that begin with %, as YAML's directives do"
        raise YAMLFault(problem, None, remedy="indent them, or remove them")
    nodes, characters = 0, 0
    anchors: dict[str | None, tuple[int, int, int] | None] = {}
    path = [_Open(None, 0, 0)]
    for event in yaml.parse(text, Loader=_PARSER):
        height = 0
        if isinstance(event, yaml.AliasEvent):
            meant = anchors.get(event.anchor, (0, 0, 0))  # of an unknown one the loader tells
            if meant is None:
                raise YAMLFault("has an alias for what contains it", event.start_mark, remedy="write it out")
            nodes, characters, height = nodes + meant[0], characters + meant[1], meant[2]
        elif isinstance(event, yaml.ScalarEvent):
            nodes, characters = nodes + 1, characters + len(event.value)
            if event.anchor:
                anchors[event.anchor] = (1, len(event.value), 0)
        elif isinstance(event, yaml.CollectionStartEvent):
            path.append(_Open(event.anchor, nodes, characters))
            nodes += 1
            if event.anchor:
                anchors[event.anchor] = None
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = path.pop()
            height = ended.height + 1
            if ended.anchor:
                anchors[ended.anchor] = (nodes - ended.nodes, characters - ended.characters, height)
        path[-1].height = max(path[-1].height, height)
        _check(nodes, characters, len(path) - 1 + height, event.start_mark)


def _check(nodes: int, characters: int, levels: int, mark: Any) -> None:
    if levels > NESTING:
        raise YAMLFault(f"is nested deeper than {NESTING} levels", mark, remedy="write it flatter")
    remedy = "let the guest fetch the rest itself"
    counted = "what aliases stand for counts each time"
    if nodes > NODES:
        raise YAMLFault(f"has more than {NODES} keys and values ({counted})", mark, remedy=remedy)
    if characters > CHARACTERS:
        raise YAMLFault(f"has more than {CHARACTERS} characters of keys and values ({counted})", mark, remedy=remedy)


_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where there is one: what is large must not hold up every other server."""


class _Loader(_PARSER):
    """Tells the place of a value that is none, and bounds what only a number can do."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if node.tag in _NUMBERS and len(node.value) > _NUMBER:
            raise YAMLFault(f"has a number of more than {_NUMBER} characters", node.start_mark, remedy="quote it")
        try:
            return super().construct_object(node, deep)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        except (yaml.YAMLError, YAMLFault):
            raise
        except Exception as error:
            # What int(), float() and datetime() raise, and what a table of words does, is not wrapped by the library.
            problem = f"has a value that is no {str(node.tag).removeprefix(_TAG)}"
            raise YAMLFault(problem, node.start_mark) from error

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag in _NUMBERS and len(key.value) > _NUMBER_AS_KEY:
                problem = f"has a key that is a number of more than {_NUMBER_AS_KEY} characters"
                raise YAMLFault(problem, key.start_mark, remedy="quote it")
        return super().construct_mapping(node, deep)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
