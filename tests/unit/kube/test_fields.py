"""Fields that may be absent or null."""

from __future__ import annotations

from typing import Any

from virtualserver.kube import fields


def test_what_is_absent_or_null_is_empty() -> None:
    things: list[dict[str, Any]] = [{}, {"status": None}, {"status": {}}]
    for thing in things:
        assert fields.status_of(thing) == {}
        assert fields.items(thing, "status", "conditions") == ()
    assert fields.labels_of({"metadata": {"labels": None}}) == {}
    assert fields.annotations_of({"metadata": {}}) == {}


def test_what_is_of_another_shape_is_empty() -> None:
    thing = {"status": "words", "spec": {"ports": {"a": 1}}}
    assert fields.mapping(thing, "status", "conditions") == {}
    assert fields.items(thing, "status", "conditions") == ()
    assert fields.items(thing, "spec", "ports") == ()


def test_what_is_there_is_returned() -> None:
    assert fields.mapping({"a": {"b": {"c": 1}}}, "a", "b") == {"c": 1}
    assert fields.items({"a": [{"b": 1}]}, "a") == [{"b": 1}]
