"""How an apply ends: every reason, every earlier answer, every moment."""

from __future__ import annotations

import itertools

import pytest

from virtualserver.api import names
from virtualserver.api.conditions import Condition, ConditionStatus, ConditionType
from virtualserver.api.reasons import Reason
from virtualserver.api.virtualserver import Status
from virtualserver.kube.times import timestamp
from virtualserver.plan.judging.settlement import REFUSED, Outcome, Settlement, outcome_of, settle

NOW = 1_800_000_000.0
WAITED_FOR = {names.REVISION: "k2", names.SETTLE_WITHIN: "10m"}


def a_status(status: ConditionStatus, reason: Reason) -> Status:
    return Status(conditions=(Condition(type=ConditionType.READY, status=status, reason=reason),))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_of_a_server_that_is_not_ready_has_its_outcome(reason: Reason) -> None:
    expected = {Reason.VIRTUAL_SERVER_STOPPED: Outcome.STOPPED, Reason.RESTART_REQUIRED: Outcome.WAITING}
    expected |= dict.fromkeys(REFUSED, Outcome.REFUSED)
    assert outcome_of(a_status("False", reason)) == expected.get(reason)


@pytest.mark.parametrize("reason", Reason)
def test_what_is_ready_is_settled_and_what_is_unknown_is_not(reason: Reason) -> None:
    assert outcome_of(a_status("True", reason)) is Outcome.READY
    assert outcome_of(a_status("Unknown", reason)) is None, "a fault of ours is nobody's to mend"


def test_a_status_without_conditions_settles_nothing() -> None:
    assert outcome_of(Status()) is None


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_nobody_who_does_not_ask_is_answered(outcome: Outcome | None) -> None:
    nobody: list[dict[str, str]] = [{}, {names.REVISION: "k2"}, {names.SETTLE_WITHIN: "10m"}]
    for one in [*nobody, {**WAITED_FOR, names.REVISION: ""}]:
        assert settle(one, "k2 Ready", outcome, now=NOW) == Settlement(None)


@pytest.mark.parametrize(
    "before", ["", "k1 Ready", "k22 Ready", "k1 Refused", "k1 Pending 2020-01-01T00:00:00Z", "k2", "x"]
)
def test_an_answer_to_an_earlier_apply_is_none(before: str) -> None:
    assert settle(WAITED_FOR, before, None, now=NOW) == Settlement(f"k2 Pending {timestamp(NOW)}", 600)
    assert settle(WAITED_FOR, before, Outcome.READY, now=NOW) == Settlement("k2 Ready")
    assert settle(WAITED_FOR, before, Outcome.STOPPED, now=NOW) == Settlement("k2 Stopped")
    assert settle(WAITED_FOR, before, Outcome.WAITING, now=NOW) == Settlement("k2 Waiting")


def test_a_refusal_must_stand_for_a_moment_since_another_apply_may_be_about_to_mend_it() -> None:
    first = settle(WAITED_FOR, "", Outcome.REFUSED, now=NOW)
    assert first == Settlement(f"k2 Pending {timestamp(NOW)}", 5)
    assert settle(WAITED_FOR, str(first.text), Outcome.REFUSED, now=NOW + 4) == Settlement(first.text, 1)
    assert settle(WAITED_FOR, str(first.text), Outcome.REFUSED, now=NOW + 5) == Settlement("k2 Refused")
    assert settle(WAITED_FOR, str(first.text), Outcome.READY, now=NOW + 4) == Settlement("k2 Ready")


def test_when_the_time_is_over_it_waits() -> None:
    pending = f"k2 Pending {timestamp(NOW)}"
    assert settle(WAITED_FOR, pending, None, now=NOW + 599) == Settlement(pending, 1)
    assert settle(WAITED_FOR, pending, None, now=NOW + 600) == Settlement("k2 Waiting")
    assert settle(WAITED_FOR, pending, None, now=NOW + 1e6) == Settlement("k2 Waiting")


@pytest.mark.parametrize(("said", "outcome"), [*itertools.product(Outcome, [None, *Outcome])])
def test_success_stands_and_what_was_refused_or_waited_is_told_anew(said: Outcome, outcome: Outcome | None) -> None:
    stands = said in (Outcome.READY, Outcome.STOPPED) or outcome is None
    expected = f"k2 {said}" if stands else f"k2 {outcome}"
    assert settle(WAITED_FOR, f"k2 {said}", outcome, now=NOW) == Settlement(expected)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("1h30m", 5400),
        ("90s", 90),
        ("0s", None),
        ("999999999h", 86400),
        ("soon", 600),
        ("", 600),
        ("10", 600),
        ("1h soon", 600),
        ("\u0661m", 600),
    ],
)
def test_how_long_a_client_waits(text: str, seconds: float | None) -> None:
    found = settle({**WAITED_FOR, names.SETTLE_WITHIN: text}, "", None, now=NOW)
    assert found == (
        Settlement("k2 Waiting") if seconds is None else Settlement(f"k2 Pending {timestamp(NOW)}", seconds)
    )


@pytest.mark.parametrize("since", ["never", "", "2999-01-01T00:00:00Z", "2026-13-45T00:00:00Z", "20"])
def test_a_time_that_is_none_or_to_come_counts_from_now(since: str) -> None:
    assert settle(WAITED_FOR, f"k2 Pending {since}", None, now=NOW) == Settlement(f"k2 Pending {timestamp(NOW)}", 600)
