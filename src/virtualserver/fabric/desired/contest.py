"""A fight over one thing: somebody takes away for ever what is put back for ever; pure, told the time.

Each round costs both sides; and a node that does nothing else serves nobody. So a thing that was put back too often is
put back more slowly, and said once. The door stays closed meanwhile: what the guard does not let pass goes nowhere.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.repair import Repair

__all__ = ["Contest", "Contests"]

_OFTEN: Final = 20
_SECONDS: Final = 10.0
"""So many repairs of one thing within so many seconds are a fight."""
_PAUSES: Final = 1.0, 5.0
"""Seconds between two looks while there is a fight: for the first rounds, and after as many as made it one."""
_FORGET_SECONDS: Final = 60.0
"""A thing that nobody takes away for so long is no longer fought over."""


class Contest(NamedTuple):
    """One thing of ours that somebody takes away again and again.

    Attributes:
        what: In words, as a repair has it; what is taken away with it is counted.
        where: As a repair has it.
    """

    what: str
    where: str


@dataclasses.dataclass(slots=True)
class _Rounds:
    times: collections.deque[float] = dataclasses.field(default_factory=lambda: collections.deque(maxlen=_OFTEN))
    contested: int | None = None
    """How often it was put back since it is fought over; None where it is not."""


class Contests:
    """Counts how often each thing was put back. Times are seconds of any clock that never goes back."""

    def __init__(self) -> None:
        self._rounds: dict[Repair, _Rounds] = {}

    def take(self, repairs: Iterable[Repair], now: float) -> tuple[list[Repair], list[Contest]]:
        """Count what was put back; return what of it is to be told, and over what a fight has just begun."""
        self._forget(now)
        told: list[Repair] = []
        begun: dict[str, list[str]] = {}
        for repair in repairs:
            rounds = self._rounds.setdefault(repair, _Rounds())
            rounds.times.append(now)
            if rounds.contested is not None:
                rounds.contested += 1
            elif len(rounds.times) == _OFTEN and now - rounds.times[0] <= _SECONDS:
                rounds.contested = 0
                begun.setdefault(repair.where, []).append(repair.what)
            else:
                told.append(repair)
        return told, [Contest(_counted(whats), where) for where, whats in begun.items()]

    def pause(self, now: float) -> float:
        """Return for how many seconds nothing is to be put back; 0 where nothing is fought over."""
        self._forget(now)
        contested = [rounds.contested for rounds in self._rounds.values() if rounds.contested is not None]
        if not contested:
            return 0.0
        return _PAUSES[max(contested) >= _OFTEN]

    def _forget(self, now: float) -> None:
        for repair, rounds in list(self._rounds.items()):
            if now - rounds.times[-1] > _FORGET_SECONDS:
                del self._rounds[repair]


def _counted(whats: list[str]) -> str:
    return f"{whats[0]} and {len(whats) - 1} more" if len(whats) > 1 else whats[0]
