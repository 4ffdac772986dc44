"""What a DataVolume asks for, and what it and its claim say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from virtualserver.api import names
from virtualserver.node.volumes.claims import (
    abandoned_status,
    bound_status,
    capacity_of,
    claim_of,
    is_alone,
    status_alone,
)
from virtualserver.node.volumes.data_volume import no_room, size_of, status_of, waits_for
from virtualserver.node.waits import Wait

NOW = 1_800_000_000.0


def a_volume(storage: str | None = "40Gi", *, field: str = "storage") -> dict[str, Any]:
    requests = {} if storage is None else {"storage": storage}
    return {
        "metadata": {"name": "web", "namespace": "ns", "uid": "u", "labels": {"a": "b"}},
        "spec": {field: {"resources": {"requests": requests}}},
    }


@pytest.mark.parametrize(("text", "size"), [("40Gi", 40 << 30), ("1", 1 << 20), ("1500k", 2 << 20)])
def test_a_size_is_whole_mebibytes(text: str, size: int) -> None:
    assert size_of(a_volume(text)) == size
    assert size_of(a_volume(text, field="pvc")) == size, "the old form of the same wish"


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "SizeMissing"), *((text, "SizeInvalid") for text in ("much", "-1Gi", "0", "1n", "-1e18"))],
)
def test_a_size_that_cannot_be_read_names_the_field(text: str | None, reason: str) -> None:
    wait = size_of(a_volume(text))
    assert isinstance(wait, Wait)
    assert wait.reason == reason
    assert wait.message.startswith("spec.storage.resources.requests.storage")


@pytest.mark.parametrize(
    ("wait", "phase"),
    [
        (None, "Succeeded"),
        (waits_for("SourceMissing", "there is none"), "Pending"),
        (waits_for("SourceNotSupported", "no image", is_final=True), "Failed"),
        (waits_for("CloneInProgress", "it is being copied"), "CloneInProgress"),
    ],
)
def test_the_phase_follows_from_the_wait(wait: Wait | None, phase: str) -> None:
    status = status_of(a_volume(), wait, now=NOW)
    ready = next(one for one in status["conditions"] if one["type"] == "Ready")
    assert status["phase"] == phase
    assert status["claimName"] == (None if wait else "web")
    assert (ready["status"], ready["message"]) == (("False", wait.message) if wait else ("True", ""))


def test_a_disk_that_is_copied_says_how_far_it_is() -> None:
    copied = waits_for("CloneInProgress", "it is being copied")
    assert [status_of(a_volume(), copied, share=share, now=NOW)["progress"] for share in (None, 0.0, 0.425)] == [
        *("N/A", "0.0%", "42.5%")
    ]
    assert status_of(a_volume(), None, now=NOW)["progress"] == "100.0%"


def test_a_disk_that_is_there_says_what_is_wrong_with_the_size_that_is_asked_for_now() -> None:
    ready = status_of(a_volume("-1Gi"), None, now=NOW)["conditions"][-1]
    assert (ready["type"], ready["status"]) == ("Ready", "True")
    assert ready["message"].startswith("the disk keeps its size: spec.storage.resources.requests.storage: '-1Gi' is")


@pytest.mark.parametrize("form", ["storage", "pvc"])
def test_a_disk_that_is_larger_than_asked_for_says_so(form: str) -> None:
    """Of an image that is larger, or of a size that was made smaller before that was refused."""
    ready = status_of(a_volume("1Gi", field=form), None, capacity=10 << 30, now=NOW)["conditions"][-1]
    path = f"spec.{form}.resources.requests.storage"
    assert ready["message"] == f"the disk keeps its size: {path}: '1Gi' is less than the 10Gi that it has"
    for asked in ("10Gi", "20Gi"):
        assert status_of(a_volume(asked), None, capacity=10 << 30, now=NOW)["conditions"][-1]["message"] == ""


def test_a_disk_that_waits_to_grow_has_its_claim_all_the_same() -> None:
    """By that the definition, and the operator, know that it was made, so that its source stays."""
    refused = waits_for("ClaimRefused", "exceeded quota: room")
    assert status_of(a_volume(), refused, capacity=10 << 30, now=NOW)["claimName"] == "web"
    assert status_of(a_volume(), refused, now=NOW)["claimName"] is None


def test_a_claim_names_its_volume_and_its_image() -> None:
    claim = claim_of(a_volume(), digest="sha256:0", size=40 << 30)
    assert claim["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert claim["metadata"]["annotations"] == {names.BASE_IMAGE: "sha256:0"}
    assert claim["spec"]["volumeName"] == "disk-u"
    assert capacity_of(claim) is None


@pytest.mark.parametrize(("size", "text"), [(40 << 30, "40Gi"), (3 << 20, "3Mi"), (5 << 10, "5Ki"), (7, "7")])
def test_a_bound_claim_has_its_size_as_people_write_it(size: int, text: str) -> None:
    status = bound_status({"spec": {}}, size)
    assert status["capacity"] == {"storage": text}
    assert capacity_of({"status": status}) == size


def test_a_claim_is_alone_where_nobody_makes_its_disk() -> None:
    alone: dict[str, Any] = {"metadata": {"name": "a"}, "spec": {}, "status": {"phase": "Pending"}}
    assert is_alone(alone)
    (told,) = status_alone(alone, now=0)["conditions"]
    assert (told["type"], told["reason"]) == (names.FULLY_APPLIED, "NotSupportedYet")
    assert told["message"] == "spec: no disk is made for a claim alone: make a DataVolume, which makes its claim"
    maker = {"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "name": "a", "uid": "u", "controller": True}
    assert not is_alone({**alone, "metadata": {"ownerReferences": [maker]}})
    assert not is_alone({**alone, "metadata": {"annotations": {names.IMAGE: "sha256:00"}}})
    assert not is_alone({**alone, "metadata": {"annotations": {names.IMAGE_PROGRESS: "45% copying the disk"}}})
    assert not is_alone({**alone, "status": {"capacity": {"storage": "1Gi"}}}), "of a disk that was let go of"


def test_an_image_whose_maker_is_gone_says_so_and_what_to_do() -> None:
    other = {"type": "Resizing", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    claim = {
        "metadata": {"name": "debian", "annotations": {names.IMAGE_PROGRESS: "45% copying the disk"}},
        "status": {"conditions": [other]},
    }
    told, kept = abandoned_status(claim, now=0)["conditions"]
    assert (told["type"], told["status"], told["reason"]) == (names.IMAGE_MADE, "False", "Abandoned")
    assert "ended before it was done (45% copying the disk)" in told["message"]
    assert told["message"].endswith("vs image remove debian") and kept == other


def test_attack_a_disk_without_room_tells_a_tenant_no_figures_of_the_machine() -> None:
    """The message had the size of the file system, and what the disks of all namespaces may grow to."""
    message = no_room(40 << 30).message
    assert message.startswith("spec.storage.resources.requests.storage: there is no room for a disk of 40Gi")
    assert re.findall(r"\d+", message) == ["40"]
