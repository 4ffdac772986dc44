"""The root disk's DataVolume, as the operator writes it again."""

from __future__ import annotations

from typing import Any

import pytest

from virtualserver.plan.objects.data_volumes import requested_bytes, source_is_settled


@pytest.mark.parametrize(
    ("status", "is_settled"),
    [
        ({}, False),
        ({"phase": "Pending"}, False),
        ({"phase": "CloneInProgress"}, True),
        ({"phase": "Succeeded", "claimName": "web"}, True),
        ({"phase": "Pending", "claimName": "web"}, True),
    ],
)
def test_a_source_is_settled_once_there_is_a_disk_whatever_that_waits_for(
    status: dict[str, Any], is_settled: bool
) -> None:
    """Of one that a quota kept from growing, another source would be written, which the definition refuses."""
    assert source_is_settled({"metadata": {"name": "web"}, "spec": {}, "status": status}) is is_settled


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ({"storage": {"resources": {"requests": {"storage": "4Gi"}}}}, 4 << 30),
        ({"pvc": {"resources": {"requests": {"storage": "4Gi"}}}}, 4 << 30),
        ({form: {"resources": {"requests": {"storage": size}}} for form, size in (("storage", 5), ("pvc", "9Gi"))}, 5),
        ({"storage": {"resources": {"requests": {"storage": "much"}}}}, 0),
        ({"storage": {}}, 0),
        ({}, 0),
    ],
)
def test_a_size_is_read_in_whichever_form_it_is_written(spec: dict[str, Any], size: int) -> None:
    """A disk that an administrator lets a server take up may say it under `pvc`."""
    assert requested_bytes({"metadata": {"name": "web"}, "spec": spec}) == size
