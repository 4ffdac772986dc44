"""Conditions keep their time while their status stays."""

from __future__ import annotations

from virtualserver.kube.conditions import MESSAGE_LENGTH, condition_of, is_true, with_conditions

OLD = {"type": "Ready", "status": "True", "reason": "A", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
THING = {"status": {"conditions": [OLD, {"type": "Other", "status": "Unknown"}]}}


def test_a_message_does_nothing_to_a_terminal_and_is_of_a_length_that_is_stored() -> None:
    """Faults 7 and 14: what tenants wrote is quoted in conditions, which their neighbours and administrators read."""
    told = {"type": "Ready", "status": "False", "message": "\x1b[2J\n" + "x" * 1_000_000}
    (found,) = with_conditions({}, [told], now=0)
    assert found["message"].startswith("\\x1b[2J\nx") and len(found["message"]) == MESSAGE_LENGTH + 3


def test_a_changed_reason_keeps_the_time() -> None:
    (made,) = with_conditions(THING, [{"type": "Ready", "status": "True", "reason": "B"}], now=1.8e9)
    assert made == {"type": "Ready", "status": "True", "reason": "B", "lastTransitionTime": "2026-01-01T00:00:00Z"}


def test_a_changed_status_has_the_time_of_now() -> None:
    (made,) = with_conditions(THING, [{"type": "Ready", "status": "False", "reason": "B"}], now=1_800_000_000)
    assert made["lastTransitionTime"] == "2027-01-15T08:00:00Z"


def test_conditions_of_others_stay_after_ours() -> None:
    made = with_conditions(THING, [{"type": "Ready", "status": "True"}], now=0, owned=["Ready"])
    assert [one["type"] for one in made] == ["Ready", "Other"]


def test_the_constant_time_of_a_schemas_default_is_replaced() -> None:
    default = {"type": "Ready", "status": "Unknown", "lastTransitionTime": "1970-01-01T00:00:00Z"}
    thing = {"status": {"conditions": [default]}}
    (made,) = with_conditions(thing, [{"type": "Ready", "status": "Unknown"}], now=1_800_000_000)
    assert made["lastTransitionTime"] == "2027-01-15T08:00:00Z"


def test_an_absent_condition_is_not_true() -> None:
    assert is_true(THING, "Ready")
    assert not is_true(THING, "Other")
    assert condition_of({}, "Ready") is None
