from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from virtualserver.kube.patch import merge_patch

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


with_nulls = st.recursive(
    st.none() | json_values,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {field: without_nulls(one) for field, one in cast("dict[str, Any]", value).items() if one is not None}
    return value


@given(before=json_objects, after=st.dictionaries(st.sampled_from("abc"), with_nulls, max_size=3))
def test_a_partial_patch_makes_the_named_fields_so_and_leaves_the_others(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    patched = merged_by_the_rfc(before, merge_patch(before, after, partial=True))
    for field, value in after.items():
        assert patched.get(field) == without_nulls(value)
    for field in before.keys() - after.keys():
        assert patched[field] == before[field]


def test_a_partial_patch_of_what_is_so_already_is_empty() -> None:
    status = {"phase": "Running", "conditions": [{"type": "Ready"}], "gone": None}
    before = {"phase": "Running", "conditions": [{"type": "Ready"}], "other": 1}
    assert merge_patch(before, status, partial=True) == {}
