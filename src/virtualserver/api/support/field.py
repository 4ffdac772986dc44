"""A field of a manifest and what becomes of it, and how a manifest is read by a table of such fields: pure."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

__all__ = ["SERIAL_BYTES", "Effect", "Field", "Limit", "Table", "field_of", "obstacles", "without_effect"]

SERIAL_BYTES: Final = 20
"""Of a disk's serial number, which a guest sees. Source: virtio 1.2, 5.2.6.1 (VIRTIO_BLK_T_GET_ID)."""

_NOTHING: Final = (False, "")
"""Values that ask for nothing, unless a field has others."""


class Effect(enum.Enum):
    """What becomes of a field; the value says it to users."""

    NOW = "carried out at once"
    NEXT_START = "carried out at the next start"
    NEW_MACHINE = "carried out by a new object only"
    NAMED = "no effect, and named in a condition"
    OBSTACLE = "not carried out: the object waits, and a condition names it"
    REFUSED = "refused at apply"
    NONE = "no effect"


@dataclasses.dataclass(frozen=True, slots=True)
class Limit:
    """What of a field that is carried out has no effect all the same, and is named in a condition.

    Attributes:
        words: What it is, with the field's path.
        applies: Whether a manifest asks for it.
        when: The same in words, for users.
    """

    words: str
    applies: Callable[[Mapping[str, Any]], bool]
    when: str


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field, with all that is below it and has no line of its own.

    Attributes:
        path: As a user writes it, ``[]`` for each item of a list: ``spec.network.vpcs[].name``.
        effect: What becomes of it.
        note: What users should know of it, ``""`` for nothing.
        refused: Which values are refused at apply, in words; ``""``: none.
        usual: The values that are done in any case, so that they ask for nothing.
        even_empty: Whether an empty object asks for something, as it does where a field chooses one of several.
        limits: What of it has no effect.
        template: A pattern of the paths of a machine's template that follow from it; ``""``: none does.
    """

    path: str
    effect: Effect
    note: str = ""
    refused: str = ""
    usual: tuple[Any, ...] = _NOTHING
    even_empty: bool = False
    limits: tuple[Limit, ...] = ()
    template: str = ""


Table = Sequence[Field]
"""All fields of a kind, in the order of its schema."""


def field_of(table: Table, path: str) -> Field | None:
    """Return the field that a path is of, the closest above it; None where the table lacks it."""
    above = [field for field in table if path == field.path or path.startswith((f"{field.path}.", f"{field.path}["))]
    return max(above, key=lambda field: len(field.path), default=None)


def without_effect(
    table: Table, manifest: Mapping[str, Any], *, served: Mapping[str, Collection[Any]] | None = None
) -> list[str]:
    """Return the fields (or what of them) that a manifest gives and that have no effect, in the table's order.

    Args:
        table: Of its kind.
        manifest: As written, without what has the kind's default.
        served: By path of a field: the values that this place serves.
    """
    found: list[str] = []
    for field in table:
        if field.effect is Effect.NAMED:
            usual = (*field.usual, *(served or {}).get(field.path, ()))
            found += [path for path, value in _values(manifest, field.path) if _asks(value, usual, field.even_empty)]
        found += [limit.words for limit in field.limits if limit.applies(manifest)]
    return found


def obstacles(table: Table, manifest: Mapping[str, Any]) -> dict[str, Field]:
    """Return the fields that a manifest gives and without which its object would be another than was asked for.

    By the place of each; its note says what to do instead, where there is something.
    """
    return {
        path: field
        for field in table
        if field.effect is Effect.OBSTACLE
        for path, value in _values(manifest, field.path)
        if _asks(value, field.usual, field.even_empty)
    }


def _asks(value: Any, usual: Sequence[Any], even_empty: bool) -> bool:
    """Return whether a value asks for something."""
    if isinstance(value, Mapping):
        inner = cast("Mapping[str, Any]", value).values()
        return even_empty or any(_asks(one, usual, False) for one in inner)
    if isinstance(value, (list, tuple)):
        return bool(cast("Sequence[Any]", value))
    return value is not None and value not in usual


def _values(value: Any, path: str, at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what stands at a path of a manifest, each with the place where it is: lists have several."""
    key, _, rest = path.partition(".")
    name = key.removesuffix("[]")
    if not isinstance(value, Mapping) or name not in value:
        return
    inner = cast("Mapping[str, Any]", value)[name]
    places = [(f"{at}{name}", inner)]
    if key != name:
        items = cast("Sequence[Any]", inner) if isinstance(inner, (list, tuple)) else ()
        places = [(f"{at}{name}[{index}]", item) for index, item in enumerate(items)]
    for place, item in places:
        if rest:
            yield from _values(item, rest, f"{place}.")
        elif item is not None:
            yield place, item
