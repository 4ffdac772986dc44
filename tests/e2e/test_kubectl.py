"""What people type: the bundled kubectl, as ``vs kubectl``, with servers."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from e2e.manifests import a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from e2e.product import Product

COLUMNS = ["NAME", "STATUS", "REASON", "STARTED", "INTERNAL IP", "EXTERNAL IP"]


@pytest.fixture(scope="module")
def server(product: Product) -> Iterator[Product]:
    """A stopped server, `typed`, with a published port."""
    product.apply(a_server("typed", running=False, network={"public": True, "tcp": {"ports": [22]}}))
    try:
        product.wait_reason("typed", "VirtualServerStopped")
        yield product
    finally:
        product.delete("vs", "typed")


@contextmanager
def _watching(product: Product, *arguments: str) -> Generator[list[list[str]]]:
    """Collect the lines that ``vs kubectl`` prints meanwhile, each as its columns."""
    lines: list[list[str]] = []

    with subprocess.Popen(
        [sys.executable, "-m", "virtualserver.cli", "kubectl", *arguments],
        env=product.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        stdout = process.stdout
        assert stdout is not None
        reader = threading.Thread(target=lambda: lines.extend(re.split(r" {2,}", line.strip()) for line in stdout))
        reader.start()
        try:
            yield lines
        finally:
            process.terminate()
            reader.join()


def test_get_w_shows_each_change_until_it_is_ready_and_wait_ends_then(server: Product) -> None:
    with _watching(server, "get", "vs", "typed", "-w") as lines:
        eventually(lambda: len(lines) >= 2, what="the first lines")
        assert lines[0] == COLUMNS
        assert lines[1][:2] == ["typed", "VirtualServerStopped"]
        waited = server.try_kubectl("wait", "vs/typed", "--for=condition=Ready", "--timeout=1s")
        assert waited.returncode != 0 and "timed out" in waited.stderr
        server.power("typed", "start")
        server.vs("kubectl", "wait", "vs/typed", "--for=condition=Ready", "--timeout=200s")
        network = server.get("vs", "typed")["status"]["network"]
        eventually(lambda: lines[-1][1] == "VirtualServerReady", what="the line that says ready")
        name, status, _reason, started, internal, external = lines[-1]
        assert (name, status, started) == ("typed", "VirtualServerReady", "True")
        assert (internal, external) == (network["internalIP"], network["externalIP"])
        statuses = [line[1] for line in lines[1:]]
        assert len(set(statuses)) >= 3, f"stopped, on its way, ready: {statuses}"


def test_wait_sees_a_stop_too(server: Product) -> None:
    server.wait_ready("typed", seconds=180)
    server.power("typed", "stop")
    server.vs("kubectl", "wait", "vs/typed", "--for=condition=VirtualServerStarted=false", "--timeout=200s")
    assert not server.get("vmi", "typed")


def test_explain_prints_the_documentation_of_every_field_of_the_network(product: Product) -> None:
    text = product.vs("kubectl", "explain", "vs.spec.network")
    assert "How the server is reached and how it reaches others." in text
    fields = re.findall(r"^  (\w+)\t<.*\n(?:  enum: .*\n)?((?:    \S.*\n)*)", text, re.MULTILINE)
    expected = {"public", "directAttachLoadBalancerIP", "tcp", "udp", "floatingIPs", "macAddress", "dnsPolicy"}
    expected |= {"dnsConfig", "headless", "vpcs", "disableK8sNetworking"}
    assert {name for name, _ in fields} == expected
    assert [name for name, documentation in fields if not documentation.strip()] == []


@pytest.mark.parametrize(
    ("field", "words"), [("macAddress", "local unicast"), ("tcp.ports", "The TCP ports that are open")]
)
def test_explain_reaches_each_field(product: Product, field: str, words: str) -> None:
    assert words in " ".join(product.vs("kubectl", "explain", f"vserver.spec.network.{field}").split())
