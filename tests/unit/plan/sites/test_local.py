"""What one machine writes and reads back; the table of situations shows its messages."""

from __future__ import annotations

import shlex
from typing import Any

import msgspec
import pytest

from harness.virtualservers import a_server
from virtualserver.api.virtualserver import Network, PVCSource
from virtualserver.plan.sites.local import Local

LOCAL = Local()


@pytest.mark.parametrize("attached_to", ["web-tcp", None])
def test_whose_address_a_nic_has_is_read_back_from_what_was_written(attached_to: str | None) -> None:
    written = {"metadata": {"annotations": LOCAL.template_annotations(attached_to=attached_to)}}
    assert LOCAL.attached_service(written) == attached_to


def test_nothing_is_attached_where_nothing_runs() -> None:
    assert LOCAL.attached_service(None) is None


def test_the_pool_of_an_address_is_the_one_that_it_was_granted_from_not_the_one_that_was_asked_for() -> None:
    annotations = LOCAL.service_annotations(pool="private", sharing_key="u")
    assert LOCAL.allocated_pool({"metadata": {"annotations": annotations}}) is None
    granted = {**annotations, "metallb.io/ip-allocated-from-pool": "public"}
    assert LOCAL.allocated_pool({"metadata": {"annotations": granted}}) == "public"


@pytest.mark.parametrize(
    ("probe", "is_honoured"),
    [({}, False), ({"exec": {"command": ["a"]}}, False), ({"httpGet": {"port": 1}}, True), ({"tcpSocket": {}}, False)],
)
def test_only_probes_from_outside_are_honoured(probe: dict[str, Any], is_honoured: bool) -> None:
    assert (LOCAL.honoured_probe(a_server(), probe) is not None) is is_honoured
    assert LOCAL.honoured_probe(a_server(network={"disableK8sNetworking": True}), probe) is None


@pytest.mark.parametrize("name", ["$(id)", "`id`", "a; id", "a\nid", "'", "a b", "\x1b[2J"])
def test_no_command_that_is_proposed_means_more_to_a_shell_than_its_words(name: str) -> None:
    """Fault 14: an administrator copies it, and is root; objects older than the CRD's pattern have such names."""
    message = LOCAL.image_missing(PVCSource(namespace=name, name=name), [f"vd-images/{name}"])
    command = message.rpartition(": ")[2]
    assert shlex.split(command) == ["vs", "image", "alias", f"{name}/{name}", name]
    assert "\x1b" not in message.partition(" does not exist")[0]


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (
            ["a/debian", "a/windows-2022"],
            "does not exist: did you mean debian? (there is debian, windows-2022); to let",
        ),
        (["a/windows-2022"], "does not exist: there is windows-2022: name one of them; to let the name stand for"),
        (
            [],
            "there is no image yet: vs image build debian, then vs image alias vd-images/debain debian",
        ),
    ],
)
def test_a_typing_error_in_an_images_name_is_met_by_the_name_that_was_meant(images: list[str], says: str) -> None:
    """Fault 55: the first that was offered was a command that lets the wrong name stand for ever."""
    assert says in LOCAL.image_missing(PVCSource(namespace="vd-images", name="debain"), images)


def test_the_image_that_is_built_needs_no_other_name_where_it_has_the_one_that_is_asked_for() -> None:
    """An alias of itself was proposed, which is refused."""
    message = LOCAL.image_missing(PVCSource(namespace="vd-images", name="debian"), [])
    assert message.endswith("there is no image yet: vs image build debian")


@pytest.mark.parametrize(
    ("memory", "says"),
    [
        (1024, "1024 bytes is less than the 16Mi that a guest needs: did you mean 1024Mi?"),
        ("8", "8 bytes is less than the 16Mi that a guest needs: did you mean 8Gi?"),
        ("1Ki", "'1Ki' is less than the 16Mi that a guest needs: write an amount such as 8Gi"),
    ],
)
def test_memory_without_its_unit_is_named_with_what_was_meant(memory: str | int, says: str) -> None:
    """Fault 54: QEMU failed with words about a kernel that does not fit."""
    (fault,) = LOCAL.out_of_range(a_server(resources={"memory": memory}))
    assert str(fault) == f"spec.resources.memory: {says}"


def test_each_field_that_is_not_carried_out_is_named() -> None:
    server = a_server(
        resources={"gpu": {"type": "A40", "count": 1}},
        network={"vpcs": [{"name": "a"}], "floatingIPs": ["b"]},
    )
    assert LOCAL.unsupported(server) == ["spec.resources.gpu"]
    assert LOCAL.unsupported(a_server()) == []


def test_every_field_of_the_network_is_carried_out() -> None:
    asked: dict[str, Any] = {
        "public": False,
        "directAttachLoadBalancerIP": True,
        "tcp": {"ports": [22]},
        "udp": {"ports": [53]},
        "floatingIPs": ["web", {"serviceName": "mail"}, "203.0.113.9"],
        "macAddress": "a2:1f:ee:09:06:5d",
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["9.9.9.9"]},
        "headless": True,
        "vpcs": [{"name": "a"}, {"name": "b"}],
        "disableK8sNetworking": True,
    }
    assert {field.encode_name for field in msgspec.structs.fields(Network)} == set(asked)
    for field, value in asked.items():
        # Not all at once: some exclude each other, which is judged elsewhere.
        assert LOCAL.unsupported(a_server(network={field: value})) == [], field
