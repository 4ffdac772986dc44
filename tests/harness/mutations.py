"""Manifests with something wrong in them: each of a few fields gets a value that its author did not mean.

Pure, and the same for the same seed.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

__all__ = ["Mutation", "fields_of_manifest", "mutate"]

_NUMBERS: Final[tuple[Any, ...]] = (0, -1, 1, 65536, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 0.5, 1e308)
_QUANTITIES: Final = ("0", "-1", "1", "1e30Gi", "0.0001", "1KiB", "64Mi", "9999999999999999999Ei", "1e-9", "٣Gi")
_TEXTS: Final = (
    "",
    " ",
    "-",
    ".",
    "a" * 300,
    "A_b",
    "a\nb",
    "a\x00b",
    "\x1b[31mred",
    "\u202eabc",
    "ä€𝄞",
    "$(id)",
    "../../etc/passwd",
    "{{ x }}",
    "null",
    "on",
    "0x10",
    "203.0.113.300",
    "fe80::1%lo",
    "10.0.0.0/33",
    "a1: &a [x]\nb: *a",
    "#cloud-config\nusers: {a: [",
    "&a [*a]",
    "!!python/object:os.system x",
    "?" * 70_000,
)
_WORDS: Final = ("Always", "Halted", "RerunOnFailure", "Manual", "linux", "windows", "None", "Default", "Block", "UDP")
_OTHERS: Final[tuple[Any, ...]] = (None, True, False, [], {}, [[]], [None], {"a": None})
_FAMILIES: Final[tuple[tuple[Any, ...], ...]] = (_NUMBERS, _QUANTITIES, _TEXTS, _WORDS, _OTHERS)


@dataclasses.dataclass(frozen=True, slots=True)
class Mutation:
    """A manifest, and which of its fields were given another value.

    Attributes:
        manifest: The whole object.
        paths: As a user writes them, ``spec.network.tcp.ports[]``.
    """

    manifest: dict[str, Any]
    paths: tuple[str, ...]


def fields_of_manifest(value: Any, path: str = "") -> Iterator[str]:
    """Yield the fields that a manifest gives, those with fields of their own too; a list's items with ``[]``."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from fields_of_manifest(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        yield from fields_of_manifest(cast("list[Any]", value)[0], f"{path}[]")


def mutate(random: Random, base: dict[str, Any], fields: Sequence[str]) -> Mutation:
    """Return a manifest of which one to three fields have other values, now and then the same field twice."""
    manifest = copy.deepcopy(base)
    paths = tuple(random.choice(fields) for _ in range(random.choice((1, 1, 1, 2, 3))))
    for path in paths:
        _set(manifest, path.split("."), _value(random))
    return Mutation(manifest, paths)


def _value(random: Random, depth: int = 0) -> Any:
    """Return a number, quantity, text, list or object, or nothing."""
    kind = random.randrange(len(_FAMILIES) + 3)
    if kind < len(_FAMILIES):
        return copy.deepcopy(random.choice(_FAMILIES[kind]))
    if kind == len(_FAMILIES) and depth < 2:
        return [_value(random, depth + 1) for _ in range(random.choice((1, 2, 11)))]
    if kind == len(_FAMILIES) + 1 and depth < 2:
        return {random.choice(("name", "a.b", "size", "ports", "")): _value(random, depth + 1)}
    return random.choice((_nested(100), ["x"] * 2_000, {f"k{number}": "v" for number in range(200)}))


def _nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


def _set(value: Any, path: list[str], new: Any) -> None:
    """Give the field at a path another value, making what is missing above it; a list gets it as its first item."""
    key, *rest = path
    name, is_item = key.removesuffix("[]"), key.endswith("[]")
    if not isinstance(value, dict):
        return  # an earlier change of the same manifest took away what it is in
    fields = cast("dict[str, Any]", value)
    if not rest:
        fields[name] = [new] if is_item else new
        return
    inner: Any = fields.get(name)
    if is_item:
        if not isinstance(inner, list) or not inner:
            inner = fields[name] = cast("list[Any]", [{}])
        inner = cast("list[Any]", inner)[0]
    elif not isinstance(inner, dict):
        inner = fields[name] = {}
    _set(inner, rest, new)
