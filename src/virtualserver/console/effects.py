"""When a change of a server's field takes effect, as pages tell it before it is saved: pure, from `api.support`."""

from __future__ import annotations

from typing import Final

from virtualserver.api.support.field import Effect
from virtualserver.api.support.virtual_server import VIRTUAL_SERVER

__all__ = ["EFFECTS"]

_WORDS: Final = {
    Effect.NOW: "now",
    Effect.NEXT_START: "nextStart",
    Effect.NEW_MACHINE: "newMachine",
    Effect.NAMED: "none",
    Effect.NONE: "none",
    Effect.OBSTACLE: "refused",
    Effect.REFUSED: "refused",
}

EFFECTS: Final = [{"path": field.path, "effect": _WORDS[field.effect]} for field in VIRTUAL_SERVER]
"""All fields, ``[]`` for each item of a list, in the order of the schema; what has no line is as what is above it."""
