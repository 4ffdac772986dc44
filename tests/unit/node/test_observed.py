"""Which instances a Service selects."""

from __future__ import annotations

from typing import Any

import pytest

from virtualserver.node.observed import selects


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
