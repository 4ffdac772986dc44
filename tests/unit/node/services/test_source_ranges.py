"""Fault 16: what the field and the old annotation say about who may call, and what cannot be read admits nobody."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from virtualserver.node.services.source_ranges import clients_of, of_all

ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"


def a_service(
    *ranges: str, annotation: str | None = None, ports: int = 1, families: tuple[str, ...] = ("IPv4",)
) -> dict[str, Any]:
    annotations = {} if annotation is None else {ANNOTATION: annotation}
    spec = {"ports": [{"port": 1 + number} for number in range(ports)], "ipFamilies": list(families)}
    return {"metadata": {"annotations": annotations}, "spec": {**spec, "loadBalancerSourceRanges": list(ranges)}}


def texts(service: dict[str, Any]) -> list[str] | None:
    networks = clients_of(service).networks
    return None if networks is None else [str(network) for network in networks]


@pytest.mark.parametrize("service", [a_service(), a_service(annotation=""), a_service(annotation=" ")])
def test_without_ranges_everybody_may_call(service: dict[str, Any]) -> None:
    assert clients_of(service) == (None, ())


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (a_service("192.0.2.0/24", "10.0.0.0/8"), ["10.0.0.0/8", "192.0.2.0/24"]),
        (a_service(annotation="192.0.2.0/24, 10.0.0.0/8"), ["10.0.0.0/8", "192.0.2.0/24"]),
        (a_service("192.0.2.0/24", annotation="0.0.0.0/0"), ["192.0.2.0/24"]),
        (a_service(" 192.0.2.0/24 "), ["192.0.2.0/24"]),
        (a_service("192.0.2.9/24"), ["192.0.2.0/24"]),
        (a_service("10.0.0.0/8", "10.1.0.0/16"), ["10.0.0.0/8"]),
        (a_service("2001:db8::/32", "10.0.0.0/8"), ["10.0.0.0/8", "2001:db8::/32"]),
    ],
    ids=["field", "annotation", "both", "spaces", "host bits", "nested", "families"],
)
def test_ranges_are_read_where_kubernetes_reads_them(service: dict[str, Any], expected: list[str]) -> None:
    assert texts(service) == expected
    assert not clients_of(service).faults


@pytest.mark.parametrize(
    ("service", "admitted", "fault"),
    [
        (a_service(annotation="everybody"), [], rf"metadata.annotations[{ANNOTATION}][0]: 'everybody' is no network"),
        (a_service(annotation="192.0.2.0/24,"), ["192.0.2.0/24"], f"[{ANNOTATION}][1]: '' is no network"),
        (a_service("192.0.2.0/24", "10.0.0.0/33"), ["192.0.2.0/24"], "spec.loadBalancerSourceRanges[1]: '10.0.0.0/33'"),
        (a_service("2001:db8::/32"), ["2001:db8::/32"], "no network is of the Service's family, so nobody"),
        (a_service("::/0", "192.0.2.0/24", families=("IPv6",)), ["192.0.2.0/24", "::/0"], ""),
        (a_service("10.0.0.0/8", "192.0.2.0/24", ports=1001), [], "2 networks for each of 1001 ports"),
        (
            a_service(*(f"10.{two}.{three}.0/25" for two in range(9) for three in range(256))),
            [],
            "2304 networks for a port",
        ),
    ],
    ids=["a word", "an empty one", "too long", "IPv6 only", "IPv6 asked for", "too many", "too many for one port"],
)
def test_what_cannot_be_read_is_told_and_admits_nobody(
    service: dict[str, Any], admitted: list[str], fault: str
) -> None:
    assert texts(service) == admitted
    if fault:
        (told,) = clients_of(service).faults
        assert fault in told
    else:
        assert not clients_of(service).faults


def test_services_that_share_an_attached_address_restrict_it_together() -> None:
    some, others, none, nobody = a_service("10.0.0.0/8"), a_service("192.0.2.0/24"), a_service(), a_service("x")
    assert of_all([none, none]) is None
    assert of_all([none, some]) == (ip_network("10.0.0.0/8"),)
    assert of_all([some, others, some]) == (ip_network("10.0.0.0/8"), ip_network("192.0.2.0/24"))
    assert of_all([none, nobody]) == ()
