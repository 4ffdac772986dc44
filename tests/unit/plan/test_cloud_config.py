from __future__ import annotations

from typing import Any

import pytest

from virtualserver.plan.cloud_config import merge


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"runcmd": ["x"]}, {"runcmd": ["y", "x"]}, {"runcmd": ["x", "y"]}),
        (
            {"users": [{"name": "a", "k": [1]}]},
            {"users": [{"name": "a", "k": [2]}]},
            {"users": [{"name": "a", "k": [1, 2]}]},
        ),
        ({"users": [{"name": "a"}]}, {"users": ["default"]}, {"users": [{"name": "a"}, "default"]}),
        ({"users": [{"name": "a"}]}, {"users": "b, a"}, {"users": [{"name": "a"}, "b", "a"]}),
        ({"users": [{"name": "a"}]}, {"users": None}, {"users": [{"name": "a"}]}),
        (
            {"users": [{"name": "a"}]},
            {"users": {"a": {"uid": 7}, "b": {"uid": 8}, "c": None, "d": False}},
            {"users": [{"name": "a", "uid": 7}, {"name": "b", "uid": 8}, {"name": "c"}]},
        ),
        ({}, {"users": "b"}, {"users": "b"}),
        ({}, {"packages": ["nginx"]}, {"packages": ["nginx"]}),
    ],
)
def test_what_wins_when_the_owners_cloud_init_is_merged(ours: Any, theirs: Any, expected: Any) -> None:
    assert merge(ours, theirs) == expected
