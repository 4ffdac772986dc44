"""What a disk cannot be made from is named; what it can is tried with the real store (test_datavolumes)."""

from __future__ import annotations

from typing import Any, cast

import pytest

from virtualserver.node.volumes.sources import Sources
from virtualserver.node.waits import Wait

PVC = {"namespace": "vd-images", "name": "tiny"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"http": {"url": "http://a"}}, "spec.source.http is not supported here: use spec.source.pvc"),
        ({"blank": {}}, "spec.source.blank is not supported here: use spec.source.pvc"),
        ({"snapshot": {}, "s3": {"url": "a"}}, "spec.source.s3, spec.source.snapshot is not supported here: use"),
        ({"pvc": PVC, "blank": {}}, "spec.source.blank is not supported here: remove it"),
        ({}, "spec.source is missing: use spec.source.pvc"),
        (None, "spec.source is missing: use spec.source.pvc"),
    ],
)
def test_a_source_that_is_not_carried_out_is_named(source: Any, message: str) -> None:
    nothing = cast("Any", None)
    sources = Sources(nothing, nothing, nothing, nothing)
    found = sources.of({"metadata": {"namespace": "a", "name": "b"}, "spec": {"source": source}})
    assert isinstance(found, Wait) and found.is_final
    assert found.reason == "SourceNotSupported" and found.message.startswith(message)
