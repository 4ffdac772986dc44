from __future__ import annotations

from typing import Any

from virtualserver.operator import report

BEFORE = "2026-02-01T00:00:00Z"


def a_status(
    status: str = "False", reason: str = "WaitingForSecret", message: str = "wait", time: str | None = None
) -> Any:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    return {"conditions": [condition | ({"lastTransitionTime": time} if time else {})]}


def a_server(*arguments: Any, **options: Any) -> Any:
    return {"status": a_status(*arguments, **options)}


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    timed = report.with_times(a_status(message="other"), a_server(time=BEFORE), now=1.8e9)
    assert timed["conditions"][0]["lastTransitionTime"] == BEFORE


def test_conditions_of_others_stay_after_ours() -> None:
    server = a_server(time=BEFORE)
    server["status"]["conditions"].insert(0, {"type": "Theirs", "status": "True"})
    timed = report.with_times(a_status(), server, now=1.8e9)
    assert [condition["type"] for condition in timed["conditions"]] == ["Ready", "Theirs"]


def test_what_is_waited_for_is_told_once() -> None:
    assert report.event_of(a_status(), {}) == ("Warning", "WaitingForSecret", "wait")
    assert report.event_of(a_status(), a_server()) is None
    assert report.event_of(a_status(message="for another"), a_server()) is not None


def test_the_ordinary_course_is_not_told() -> None:
    assert report.event_of(a_status("Unknown", "Starting"), a_server()) is None


def test_becoming_ready_is_good_news() -> None:
    told = report.event_of(a_status("True", "VirtualServerReady"), a_server())
    assert told and told.type == "Normal"
