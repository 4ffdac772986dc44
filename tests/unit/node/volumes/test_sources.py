"""What a disk cannot be made from is named; what it can is tried with the real store (test_datavolumes)."""

from __future__ import annotations

from typing import Any, cast

import pytest

from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.node.volumes.sources import Sources
from virtualserver.node.waits import Wait
from virtualserver.node.watches import WATCHES

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


@pytest.mark.parametrize(
    ("progress", "message"),
    [
        ("45% copying the disk", "image vd-images/tiny is being made (`vs image list` shows"),
        (names.IMAGE_ABANDONED, "image vd-images/tiny was not made to its end: make it again"),
    ],
)
def test_an_image_that_is_being_made_is_waited_for(progress: str, message: str) -> None:
    cache = Cache(cast("Any", None), WATCHES)
    metadata = {
        **PVC,
        "name": "tiny",
        "uid": "u",
        "resourceVersion": "1",
        "annotations": {names.IMAGE_PROGRESS: progress},
    }
    cache.remember(kinds.PERSISTENT_VOLUME_CLAIM, {"kind": "PersistentVolumeClaim", "metadata": metadata})
    nothing = cast("Any", None)
    sources = Sources(cache, nothing, nothing, nothing)
    found = sources.of({"metadata": {"namespace": "a", "name": "b"}, "spec": {"source": {"pvc": PVC}}})
    assert isinstance(found, Wait) and not found.is_final
    assert found.reason == "SourceMissing" and f"spec.source.pvc: {message}" in found.message
