"""What was measured, against which goal; pure.

Tests: ``tests/unit/tools/test_bench.py``.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Figure", "as_json", "difference", "ratio", "table"]


@dataclasses.dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        name: What was measured, in the words of the table.
        value: The number.
        unit: Its unit.
        goal: The largest value that is good.
        command: Measures it again.
    """

    name: str
    value: float
    unit: str
    goal: float
    command: str

    @property
    def met(self) -> bool:
        """Whether the goal is met: exactly the goal is."""
        return self.value <= self.goal


def difference(ours: Sequence[float], bare: Sequence[float]) -> float:
    """Return by how much the median of our runs is above that of the bare ones."""
    return statistics.median(ours) - statistics.median(bare)


def ratio(ours: Sequence[float], bare: Sequence[float]) -> float:
    """Return how many times the median of the bare runs ours is."""
    return statistics.median(ours) / statistics.median(bare)


def as_json(figures: Iterable[Figure]) -> str:
    """Return the content of ``build/bench.json``; values are rounded as the table shows them."""
    return json.dumps(
        [
            {
                "name": figure.name,
                "value": round(figure.value, 3),
                "unit": figure.unit,
                "goal": figure.goal,
                "met": figure.met,
                "command": figure.command,
            }
            for figure in figures
        ],
        indent=2,
    )


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as people read them, one a line."""
    rows = [("figure", "value", "goal", "")]
    for figure in figures:
        goal = f"<= {_short(figure.goal)}" if figure.goal else "0"
        verdict = "met" if figure.met else "MISSED"
        rows.append((figure.name, f"{_short(figure.value)} {figure.unit}", goal, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {goal:>{widths[2]}}  {verdict}".rstrip()
        for name, value, goal, verdict in rows
    ]
    missed = sum(not figure.met for figure in figures)
    return "\n".join([*lines, "every goal is met" if not missed else f"{missed} of {len(figures)} goals missed"])


def _short(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
