"""What pages tell in the program's own words: when a change of a field takes effect, and what to do next. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api.remedies import NEXT
from virtualserver.api.support.field import Effect
from virtualserver.api.support.virtual_server import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TOLD"]

_WORDS: Final = {
    Effect.NOW: "now",
    Effect.NEXT_START: "nextStart",
    Effect.NEW_MACHINE: "newMachine",
    Effect.NAMED: "none",
    Effect.NONE: "none",
    Effect.OBSTACLE: "refused",
    Effect.REFUSED: "refused",
}

TOLD: Final[Mapping[str, Any]] = {
    # All fields, ``[]`` for each item of a list, in the order of the schema; what has no line is as what is above it.
    "effects": [{"path": field.path, "effect": _WORDS[field.effect]} for field in VIRTUAL_SERVER],
    # By a condition's reason, where its message does not say it.
    "remedies": {str(reason): words for reason, words in NEXT.items()},
}
