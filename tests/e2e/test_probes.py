"""Readiness and liveness probes, asked of a real guest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from e2e.manifests import a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.product import Product

PRIVATE = {"public": False}
PORT = {"public": False, "tcp": {"ports": [7000]}}
OFTEN = {"periodSeconds": 1, "timeoutSeconds": 5}
PROBES: dict[str, dict[str, Any]] = {
    "asks-http": {
        "network": PRIVATE,
        "readinessProbe": {"httpGet": {"port": 8080, "path": "/health"}, "failureThreshold": 2} | OFTEN,
    },
    "asks-tcp": {"network": PORT, "readinessProbe": {"tcpSocket": {"port": 7000}} | OFTEN},
    # Long enough for a guest to boot on a busy machine: the page on port 80 is there from the start.
    "alive": {"network": PRIVATE, "livenessProbe": {"httpGet": {"port": 80}, "failureThreshold": 30} | OFTEN},
}


@pytest.fixture(scope="module")
def servers(product: Product) -> Iterator[Product]:
    """A server with each probe; nothing in the guests answers the readiness probes yet."""
    try:
        product.apply(*(a_server(name, **fields) for name, fields in PROBES.items()))
        yield product
    finally:
        product.delete("vs", *PROBES)


def _is_waiting_for_its_probe(product: Product, name: str) -> None:
    condition = product.wait_reason(name, "ProbeFailing", seconds=180)
    assert condition["status"] == "False"
    assert product.condition(name, "VirtualServerStarted")["status"] == "True", "the machine itself runs"


def test_a_server_is_ready_while_http_get_is_answered_well(servers: Product) -> None:
    _is_waiting_for_its_probe(servers, "asks-http")
    guest = servers.guest("asks-http")
    servers.wait_message("asks-http", "port 8080: connection refused")
    guest.run("mkdir /tmp/www; httpd -f -v -h /tmp/www -p 8080 >/tmp/asked 2>&1 &")
    servers.wait_message("asks-http", "port 8080: HTTP status 404")
    assert servers.condition("asks-http")["reason"] == "ProbeFailing"
    guest.run("echo well >/tmp/www/health")
    servers.wait_ready("asks-http")
    guest.run("rm /tmp/www/health")
    _is_waiting_for_its_probe(servers, "asks-http")


def test_a_server_is_ready_once_the_tcp_socket_opens(servers: Product) -> None:
    _is_waiting_for_its_probe(servers, "asks-tcp")
    servers.guest("asks-tcp").serve("tcp", 7000)
    servers.wait_ready("asks-tcp")


def test_fault_58_a_server_becomes_ready_once_when_its_port_is_open_too(servers: Product) -> None:
    """It was ready when the probe passed, then not, while its port was opened, and ready again."""
    servers.wait_ready("asks-tcp")

    def slice_is_ready() -> bool:
        text = servers.kubectl("get", "endpointslice", "asks-tcp-tcp-ipv4", "-o", "json")
        return any(one["conditions"]["ready"] for one in json.loads(text)["endpoints"])

    eventually(slice_is_ready, what="its port is open")
    told = "involvedObject.name=asks-tcp,involvedObject.kind=VirtualServer,reason=VirtualServerReady"
    events = json.loads(servers.kubectl("get", "events", f"--field-selector={told}", "-o", "json"))["items"]
    assert sum(event["count"] for event in events) == 1


def test_a_guest_that_does_not_answer_its_liveness_probe_is_started_again(servers: Product) -> None:
    servers.wait_ready("alive", seconds=180)
    servers.guest("alive").run("wget -q -O /dev/null http://127.0.0.1/")
    before = servers.get("vmi", "alive")["metadata"]["uid"]
    servers.guest("alive").run("killall httpd")
    eventually(
        lambda: servers.get("vmi", "alive").get("metadata", {}).get("uid") not in (None, before),
        what="another guest",
        seconds=180,
    )
    servers.wait_ready("alive", seconds=180)
