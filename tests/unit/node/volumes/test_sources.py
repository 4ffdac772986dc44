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
    ("progress", "reason", "message"),
    [
        ("45% copying the disk", "SourceNotReady", "image vd-images/tiny is being made (`vs image list` shows"),
        (names.IMAGE_ABANDONED, "SourceMissing", "image vd-images/tiny was not made to its end: make it again"),
    ],
)
def test_an_image_that_is_being_made_is_waited_for(progress: str, reason: str, message: str) -> None:
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
    assert found.reason == reason and f"spec.source.pvc: {message}" in found.message


@pytest.mark.parametrize(
    ("namespace", "name", "reason"),
    [("a", "made-too", "SourceNotReady"), ("a", "b", "SourceMissing"), ("other", "made-too", "SourceMissing")],
)
def test_a_disk_of_the_namespace_that_is_still_to_be_made_is_waited_for(namespace: str, name: str, reason: str) -> None:
    """Of a disk and its copy that are applied at once, the copy may be looked at first."""
    cache, nothing = Cache(cast("Any", None), WATCHES), cast("Any", None)
    for version, key in enumerate((("a", "made-too"), ("a", "b"), ("other", "made-too")), start=1):
        metadata = {"namespace": key[0], "name": key[1], "uid": "/".join(key), "resourceVersion": str(version)}
        cache.remember(kinds.DATA_VOLUME, {"metadata": metadata, "spec": {}})
    pvc = {"namespace": namespace, "name": name}
    volume = {"metadata": {"namespace": "a", "name": "b"}, "spec": {"source": {"pvc": pvc}}}
    found = Sources(cache, nothing, nothing, nothing).of(volume)
    assert isinstance(found, Wait) and found.reason == reason
