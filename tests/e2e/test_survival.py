"""Every process of ours is killed in turn while a guest serves a download: the transfer goes on, all comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from e2e.manifests import a_server
from e2e.product import Product, eventually

if TYPE_CHECKING:
    from collections.abc import Generator

    from e2e.internet import Internet

PORT = 7001
_DOWNLOAD = r"""
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
total, told = 0, 0.0
while True:
    chunk = s.recv(1 << 16)
    if not chunk:
        sys.exit("the connection was closed")
    total += len(chunk)
    if time.monotonic() - told > 0.2:
        told = time.monotonic()
        print(total, flush=True)
    time.sleep(0.001)
"""


class Download:
    """A transfer that runs in the client's namespace."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def goes_on(self) -> None:
        """Assert that bytes still arrive on the one connection."""
        assert self._process.stdout is not None
        end, first = time.monotonic() + 20, None
        while time.monotonic() < end:
            line = self._process.stdout.readline()
            assert line, "the connection broke"
            total = int(line)
            if first is not None and total > first[0] and time.monotonic() - first[1] > 1:
                return
            first = first or (total, time.monotonic())
        raise AssertionError(f"nothing arrived after {first}")


@contextmanager
def _download(client: Internet, address: str) -> Generator[Download]:
    with subprocess.Popen(
        client.command(sys.executable, "-u", "-c", _DOWNLOAD, address, str(PORT)), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Download(process)
        finally:
            process.kill()


def _spec_versions(product: Product) -> dict[str, Any]:
    """Return generation and spec-side resource versions of all that the operator and the node wrote."""
    return {
        f"{kind}/{entry['metadata']['name']}": (entry["metadata"]["uid"], entry["metadata"]["resourceVersion"])
        for kind in ("vs", "vm", "vmi", "service", "datavolume", "secret", "endpointslices", "pvc")
        for entry in product.objects(kind)
    }


def _ready(product: Product) -> bool:
    components = json.loads(product.vs("status", "-o", "json"))["components"]
    return bool(components) and all(component["ready"] for component in components)


def test_each_process_may_be_killed_during_a_download(product: Product, client: Internet) -> None:
    product.apply(a_server("source", network={"public": True, "tcp": {"ports": [22, PORT]}}))
    address = product.wait_ready("source")["status"]["network"]["externalIP"]
    product.guest("source").serve("tcp", PORT, "source")
    try:
        with _download(client, address) as download:
            download.goes_on()
            machine = _machine_pid(product)
            before = _spec_versions(product)
            for name in (
                "node",
                "operator",
                "dnsmasq",
                "kube-controller-manager",
                "kube-apiserver",
                "etcd",
                "supervisor",
            ):
                pid = product.process(name)
                os.kill(pid, signal.SIGKILL)
                download.goes_on()
                if name == "supervisor":
                    product.vs("up", "--no-hello")
                eventually(
                    lambda name=name, pid=pid: product.process(name) not in (0, pid),
                    what=f"{name} to be back",
                    seconds=60,
                )
                eventually(lambda: _ready(product), what=f"everything to be ready after {name} was killed", seconds=60)
                download.goes_on()
            assert _machine_pid(product) == machine, "the guest is the same process"
            assert _spec_versions(product) == before, "nothing was written again"
            fresh = a_server("after", network={"public": True, "tcp": {"ports": [22]}})
            product.apply(fresh)
            other = product.wait_ready("after")["status"]["network"]["externalIP"]
            assert other != address
            eventually(lambda: client.probe("tcp", other, 22)["result"] == "open", what="the new server", seconds=30)
            download.goes_on()
    finally:
        product.delete("vs", "source", "after")


def _machine_pid(product: Product) -> int:
    return product.process("qemu")
