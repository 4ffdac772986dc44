from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtualserver.kube.apply import contains

json_values = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "1Gi"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


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
