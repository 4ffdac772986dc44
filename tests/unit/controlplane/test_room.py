"""When users may make nothing new, and who is named."""

from __future__ import annotations

import pytest

from virtualserver.controlplane.room import Stage, largest, stage_of

OPEN, FULL, CLOSED = Stage.OPEN, Stage.FULL, Stage.CLOSED


@pytest.mark.parametrize(
    ("live", "before", "stage"),
    [
        (0, OPEN, OPEN),
        (49, OPEN, OPEN),
        (50, OPEN, FULL),
        (69, FULL, FULL),
        (70, FULL, CLOSED),
        (99, OPEN, CLOSED),
        (60, CLOSED, CLOSED),
        (59, CLOSED, FULL),
        (40, FULL, FULL),
        (39, FULL, OPEN),
        (39, CLOSED, OPEN),
    ],
)
def test_what_was_closed_opens_only_once_there_is_room_again(live: int, before: Stage, stage: Stage) -> None:
    assert stage_of(live, limit=100, before=before) == stage
    assert stage_of(live, limit=100, before=stage) == stage


def test_the_namespaces_that_hold_most_are_named_most_first() -> None:
    held = {"a": 1 << 20, "": 99 << 20, "b": 3 << 20, **{f"small-{number}": 1 for number in range(9)}}
    told = largest(held)
    assert told.startswith("b 3.0 MiB, a 1.0 MiB, small-8 0.0 MiB")
    assert told.count(",") == 4
