from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, cast

from virtualserver.host import watchdog
from virtualserver.host.pulse import Beat
from virtualserver.host.watchdog import Standstill, Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from virtualserver.host.process import Process

PID = 7


def silences(looks: Iterable[tuple[float, Beat | None]]) -> list[float]:
    dog = Watchdog(PID)
    return [dog.look(beat, now=now) for now, beat in looks]


def beat(count: int, pid: int = PID) -> Beat:
    return Beat(pid, count, "")


def test_a_loop_that_turns_is_never_doubted() -> None:
    assert set(silences((second, beat(second)) for second in range(100))) == {0}


def test_a_loop_that_stands_still_is_ended_within_thirty_seconds() -> None:
    assert silences((second, beat(1)) for second in range(4)) == [0, 1, 2, 3]
    assert watchdog.DOUBT_SECONDS < watchdog.LIMIT_SECONDS
    assert watchdog.LIMIT_SECONDS + watchdog.LOOK_SECONDS + 2 < 30


def test_one_beat_begins_anew() -> None:
    assert silences([(0, beat(1)), (2, beat(1)), (3, beat(2)), (4, beat(2))]) == [0, 2, 0, 1]


def test_a_machine_that_was_suspended_or_stopped_is_no_fault_of_the_component() -> None:
    """Who looks has stood still as well: a laptop's lid, SIGSTOP of everything, a machine without a free processor."""
    assert silences([(0, beat(1)), (1, beat(1)), (601, beat(1)), (602, beat(2))]) == [0, 1, 1, 0]
    assert max(silences((second * 4, beat(1)) for second in range(100))) == 0


def test_a_process_that_has_not_begun_to_beat_is_not_judged_by_its_predecessors_pulse() -> None:
    assert silences((second, beat(1, pid=PID - 1)) for second in range(60)) == [0] * 60
    assert silences((second, None) for second in range(60)) == [0] * 60


@dataclasses.dataclass
class Stoppable:
    """A process that is stopped, or not, as one says."""

    pid: int
    stopped: bool = False

    def is_stopped(self) -> bool:
        return self.stopped


def test_a_process_without_a_pulse_stands_still_while_somebody_has_stopped_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: float(next(seconds)))
    process = Stoppable(PID)
    still = Standstill(cast("Process", process))

    def looks(stopped: bool) -> list[float]:
        process.stopped = stopped
        return [still.look() for _ in range(4)]

    assert looks(False) == [0, 0, 0, 0]
    assert looks(True) == [0, 1, 2, 3]
    assert looks(False) == [0, 0, 0, 0]
    assert looks(True) == [0, 1, 2, 3]
