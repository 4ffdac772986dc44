"""What of a DataVolume stays once there is a disk: the definition refuses a change that would have no effect."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from virtualserver.controlplane.rest import RestError

if TYPE_CHECKING:
    from harness.api_server import Server

MADE: list[dict[str, Any]] = [
    {"phase": "Succeeded", "claimName": "one"},
    {"phase": "CloneInProgress"},
    {"phase": "Pending", "claimName": "one"},
]
"""What the node says of a disk that is there, is being copied, or is there and waits to grow."""
NOT_MADE: list[dict[str, Any] | None] = [None, {"phase": "Pending"}, {"phase": "Failed"}]
OTHER = {"source": {"pvc": {"namespace": "vd-images", "name": "other"}}}
HTTP = {"source": {"pvc": None, "http": {"url": "https://example.test/disk"}}}


def sized(size: str | int, form: str = "storage") -> dict[str, Any]:
    return {form: {"resources": {"requests": {"storage": size}}}}


class Volume:
    """A DataVolume of 10Gi, and what is refused of it."""

    def __init__(self, server: Server, status: dict[str, Any] | None, **spec: Any) -> None:
        folder = f"/apis/cdi.kubevirt.io/v1beta1/namespaces/{server.namespace}/datavolumes"
        name = f"one-{uuid.uuid4().hex[:8]}"
        self._server, self.path = server, f"{folder}/{name}"
        spec = {"source": {"pvc": {"namespace": "vd-images", "name": "tiny"}}, **(spec or sized("10Gi"))}
        manifest = {"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "metadata": {"name": name}}
        server.call("POST", folder, {**manifest, "spec": spec})
        if status is not None:
            self.patch({"status": status}, "/status")

    def patch(self, patch: dict[str, Any], subresource: str = "") -> None:
        """Send a merge patch."""
        path, merge = f"{self.path}{subresource}", "application/merge-patch+json"
        self._server.call("PATCH", path, patch, content_type=merge)

    def refusal_of(self, spec: dict[str, Any]) -> str:
        """Return why a change is refused, ``""`` where it is made."""
        try:
            self.patch({"spec": spec})
        except RestError as error:
            return str(error)
        return ""


@pytest.mark.parametrize("status", MADE)
def test_what_a_disk_was_made_from_stays(server: Server, status: dict[str, Any]) -> None:
    """It was accepted, and the DataVolume said that all is well."""
    volume = Volume(server, status)
    for change in (OTHER, HTTP, {"source": None}):
        told = volume.refusal_of(change)
        assert "spec.source" in told and "stays: keep it, or make a new DataVolume" in told, told


@pytest.mark.parametrize("form", ["storage", "pvc"])
@pytest.mark.parametrize("status", MADE)
def test_a_disk_does_not_shrink_and_may_grow(server: Server, status: dict[str, Any], form: str) -> None:
    volume = Volume(server, status, **sized("10Gi", form))
    for less in ("1Gi", "-1Gi", 0, 1 << 30):
        told = volume.refusal_of(sized(less, form))
        assert f"spec.{form}.resources.requests[storage]: Invalid value" in told, told
        assert f'"{less}" is less than before, and a disk cannot shrink: keep the size, or make a new' in told, told
    assert volume.refusal_of(sized("10240Mi", form)) == "", "the same in other words"
    assert volume.refusal_of(sized("20Gi", form)) == ""
    assert "cannot shrink" in volume.refusal_of(sized("10Gi", form))
    volume.patch({"metadata": {"labels": {"any": "thing"}}, "spec": {"preallocation": True}})
    volume.patch({"status": {"phase": "Pending", "progress": "N/A"}}, "/status")


def test_a_size_is_compared_with_the_one_of_the_other_form(server: Server) -> None:
    """The operator writes `storage` into a disk that it takes up, whichever form that has."""
    volume = Volume(server, MADE[0], **sized("10Gi", "pvc"))
    assert "spec.storage.resources" in volume.refusal_of(sized("1Gi"))
    assert volume.refusal_of(sized("20Gi")) == ""
    assert volume.refusal_of(sized("1Gi", "pvc")) == "", "it does not count beside the other"
    assert "spec.pvc.resources" in volume.refusal_of({"storage": None, **sized("10Gi", "pvc")})


@pytest.mark.parametrize("status", NOT_MADE)
def test_until_there_is_a_disk_all_may_be_corrected(server: Server, status: dict[str, Any] | None) -> None:
    """The messages of what waits say so: ask for less, use spec.source.pvc."""
    volume = Volume(server, status)
    assert [volume.refusal_of(change) for change in (sized("1Gi"), OTHER, HTTP)] == ["", "", ""]


def test_what_is_no_size_stays_the_nodes_to_name(server: Server) -> None:
    volume = Volume(server, MADE[0])
    assert volume.refusal_of(sized("much")) == ""
    assert volume.refusal_of(sized("1Gi")) == "", "it is less than nothing that can be read"
