"""Who has to stop writing, and when, so that the control plane keeps room; which disks are too many (fault 43)."""

from __future__ import annotations

import pytest

from virtualserver.storage import space
from virtualserver.storage.space import Space

GIB = 1 << 30
MIB = 1 << 20


@pytest.mark.parametrize(
    ("total", "reserve"), [(GIB, 256 * MIB), (10 * GIB, 512 * MIB), (20 * GIB, GIB), (1000 * GIB, GIB)]
)
def test_the_reserve_is_a_twentieth_within_bounds(total: int, reserve: int) -> None:
    assert Space(total, 0).reserve == reserve


@pytest.mark.parametrize(
    ("free", "was_short", "short"),
    [
        (GIB, False, False),
        (GIB - 1, False, True),
        (GIB, True, True),
        (GIB * 5 // 4 - 1, True, True),
        (GIB * 5 // 4, True, False),
    ],
)
def test_room_is_short_below_the_reserve_until_there_is_a_quarter_more(free: int, was_short: bool, short: bool) -> None:
    assert space.is_short(Space(100 * GIB, free), was_short=was_short) is short


def test_who_writes_stops_first_and_then_everybody() -> None:
    before, now = {"writes": 100 * MIB, "rests": MIB}, {"writes": 101 * MIB, "rests": MIB, "new": 5 * MIB}
    assert space.fillers(Space(100 * GIB, GIB // 2), before, now) == {"writes"}
    assert space.fillers(Space(100 * GIB, GIB // 4 - 1), before, now) == {"writes", "rests", "new"}


def test_disks_may_grow_to_so_many_times_their_file_system() -> None:
    assert space.bound(Space(10 * GIB, GIB), overcommit=2) == 20 * GIB


def test_a_file_that_is_not_there_takes_nothing(tmp_path: pytest.TempPathFactory) -> None:
    from pathlib import Path

    assert space.allocated(Path(str(tmp_path)) / "none") == 0
