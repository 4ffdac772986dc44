from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtualserver.kube.apply import contains, merge_patch

json_values = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "1Gi"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


def merged_by_the_rfc(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    result: dict[str, Any] = dict(target)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    for name, value in patch.items():  # pyright: ignore[reportUnknownVariableType]
        if value is None:
            result.pop(name, None)  # pyright: ignore[reportUnknownArgumentType]
        else:
            result[name] = merged_by_the_rfc(result.get(name), value)  # pyright: ignore[reportUnknownArgumentType]
    return result


@given(before=json_objects, after=json_objects)
def test_a_merge_patch_makes_the_one_into_the_other_and_is_empty_only_if_they_are_equal(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    patch = merge_patch(before, after)
    assert merged_by_the_rfc(before, patch) == after
    if before == after:
        assert patch == {}


def test_a_merge_patch_says_only_what_differs() -> None:
    before = {
        "phase": "Pending",
        "message": "waits",
        "network": {"ip": "a", "mac": "m"},
        "list": [1, 2],
        "same": {"x": 1},
    }
    after = {"phase": "Running", "network": {"ip": "a"}, "list": [1], "same": {"x": 1}, "new": {"y": None, "z": 2}}
    assert merge_patch(before, after) == {
        "phase": "Running",
        "message": None,
        "network": {"mac": None},
        "list": [1],
        "new": {"y": None, "z": 2},
    }


def test_a_null_that_is_wanted_is_an_absent_key() -> None:
    assert merge_patch({"a": 1}, {"a": None}) == {"a": None}
    assert merge_patch({}, {"a": None}) == {}


@pytest.mark.parametrize(
    ("live", "intent"),
    [
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": {"b": 1, "defaulted": 2}}, {"a": {"b": 1}}),
        ({"ports": [{"port": 22, "nodePort": 30001}]}, {"ports": [{"port": 22}]}),
        ({"a": 1}, {"a": 1, "absent": None}),
        ({}, {}),
    ],
)
def test_what_a_server_adds_is_no_difference(live: Any, intent: Any) -> None:
    assert contains(live, intent)


@pytest.mark.parametrize(
    ("live", "intent"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": "1"}, {"a": 1}),
        ({"a": True}, {"a": 1}),
        ({"a": None}, {"a": {}}),
        ({}, {"a": {}}),
        ({"a": [1, 2]}, {"a": [1]}),
        ({"a": [2, 1]}, {"a": [1, 2]}),
        ({"a": [1]}, {"a": []}),
        ({"a": "text"}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": [1]}),
        ({"a": 1}, {"a": None}),
    ],
)
def test_what_is_not_as_intended_is_a_difference(live: Any, intent: Any) -> None:
    assert not contains(live, intent)


@given(value=json_objects)
def test_a_value_contains_itself(value: dict[str, Any]) -> None:
    assert contains(value, value)
