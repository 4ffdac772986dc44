"""What an error says when it ends a step."""

from __future__ import annotations

from virtualserver.local.errors import LocalError, TimedOutError


def test_a_failure_of_a_step_keeps_its_status_and_its_own_remedy() -> None:
    failure = TimedOutError("no answer", remedy="wait longer").during("First server", remedy="look")
    assert isinstance(failure, TimedOutError)
    assert str(failure) == failure.message
    assert failure.message == "step 'First server' failed: no answer"
    assert failure.remedy == "wait longer"
    assert LocalError("no").during("Networks", remedy="look").remedy == "look"
