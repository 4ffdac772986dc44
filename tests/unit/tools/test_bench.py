"""What ``make bench`` makes of its measurements."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parents[3] / "tools"


def load() -> Any:
    specification = importlib.util.spec_from_file_location("bench_figures", TOOLS / "bench" / "figures.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


figures = load()


def a_figure(value: float, *, goal: float = 1.25, name: str = "one against the other", unit: str = "x") -> Any:
    return figures.Figure(name, value, unit, goal, 'make bench ARGS="--only one"')


def test_medians_are_compared_so_that_one_slow_run_changes_nothing() -> None:
    assert figures.ratio([2.0, 3.0, 90.0], [1.0, 2.0, 3.0]) == 1.5
    assert figures.difference([6.0, 5.0, 50.0], [5.5, 5.0, 4.0]) == 1.0


@pytest.mark.parametrize(("value", "met"), [(1.2, True), (1.25, True), (1.2501, False)])
def test_a_goal_is_met_up_to_its_own_value(value: float, met: bool) -> None:
    assert a_figure(value).met is met


def test_the_file_has_exactly_the_promised_keys() -> None:
    assert json.loads(figures.as_json([a_figure(1.23456), a_figure(0, goal=0, unit="writes")])) == [
        {
            "name": "one against the other",
            "value": 1.235,
            "unit": "x",
            "goal": 1.25,
            "met": True,
            "command": 'make bench ARGS="--only one"',
        },
        {
            "name": "one against the other",
            "value": 0,
            "unit": "writes",
            "goal": 0,
            "met": True,
            "command": 'make bench ARGS="--only one"',
        },
    ]


def test_the_table_says_which_goal_is_missed() -> None:
    text = figures.table([a_figure(1.2), a_figure(2.0, goal=0, name="writes while idle", unit="writes")])
    assert text.splitlines() == [
        "figure                    value     goal",
        "one against the other     1.2 x  <= 1.25  met",
        "writes while idle      2 writes        0  MISSED",
        "1 of 2 goals missed",
    ]


def test_the_table_says_so_when_nothing_is_missed() -> None:
    assert figures.table([a_figure(1.0)]).splitlines()[-1] == "every goal is met"
