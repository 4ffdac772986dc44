"""The smallest patch that makes a status so."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtualserver.node.observed import difference, selects

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(st.sampled_from("abc"), children, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


def merged(target: Any, patch: Any) -> Any:
    """Apply a merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    result: dict[str, Any] = dict(cast("dict[str, Any]", target)) if isinstance(target, dict) else {}
    for field, value in cast("dict[str, Any]", patch).items():
        if value is None:
            result.pop(field, None)
        else:
            result[field] = merged(result.get(field), value)
    return result


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {field: without_nulls(one) for field, one in cast("dict[str, Any]", value).items() if one is not None}
    return value


@given(before=OBJECTS.map(without_nulls), after=OBJECTS)
def test_the_patch_makes_the_named_fields_so(before: dict[str, Any], after: dict[str, Any]) -> None:
    patched = merged(before, difference(before, after))
    for field, value in after.items():
        assert patched.get(field) == without_nulls(value)
    for field in before.keys() - after.keys():
        assert patched[field] == before[field]


def test_nothing_differs_from_itself() -> None:
    status = {"phase": "Running", "conditions": [{"type": "Ready"}], "gone": None}
    assert difference({"phase": "Running", "conditions": [{"type": "Ready"}], "other": 1}, status) == {}


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({"a": "1"}, {"a": "1", "b": "2"}, True),
        ({"a": "1", "b": "3"}, {"a": "1", "b": "2"}, False),
        ({}, {"a": "1"}, False),
        (None, {"a": "1"}, False),
        ({"a": "1"}, None, False),
    ],
)
def test_a_selector_matches_labels(selector: Any, labels: Any, expected: bool) -> None:
    assert selects({"spec": {"selector": selector}}, {"metadata": {"labels": labels}}) is expected
