from __future__ import annotations

from typing import Any

from virtualserver.api.conditions import EPOCH
from virtualserver.operator import report

NOW = "2026-03-01T00:00:00Z"
BEFORE = "2026-02-01T00:00:00Z"


def a_status(
    status: str = "False", reason: str = "WaitingForSecret", message: str = "wait", time: str | None = None
) -> Any:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    return {"conditions": [condition | ({"lastTransitionTime": time} if time else {})]}


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    timed = report.with_times(a_status(message="other"), a_status(time=BEFORE), now=NOW)
    assert timed["conditions"][0]["lastTransitionTime"] == BEFORE


def test_a_condition_whose_status_changes_gets_a_new_time() -> None:
    timed = report.with_times(a_status("True"), a_status(time=BEFORE), now=NOW)
    assert timed["conditions"][0]["lastTransitionTime"] == NOW


def test_the_constant_time_of_the_schemas_default_is_replaced() -> None:
    timed = report.with_times(a_status("Unknown"), a_status("Unknown", time=EPOCH), now=NOW)
    assert timed["conditions"][0]["lastTransitionTime"] == NOW


def test_conditions_of_others_stay_after_ours() -> None:
    before = a_status(time=BEFORE)
    before["conditions"].insert(0, {"type": "Theirs", "status": "True"})
    timed = report.with_times(a_status(), before, now=NOW)
    assert [condition["type"] for condition in timed["conditions"]] == ["Ready", "Theirs"]


def test_what_is_waited_for_is_told_once() -> None:
    assert report.notice(a_status(), None) == ("Warning", "WaitingForSecret", "wait")
    assert report.notice(a_status(), a_status()) is None
    assert report.notice(a_status(message="for another"), a_status()) is not None


def test_the_ordinary_course_is_not_told() -> None:
    assert report.notice(a_status("Unknown", "Starting"), a_status()) is None


def test_becoming_ready_is_good_news() -> None:
    told = report.notice(a_status("True", "VirtualServerReady"), a_status())
    assert told and told.type == "Normal"
