"""Every process of ours is killed in turn while a guest serves a download: the transfer goes on, all comes back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.conftest import a_folder
from e2e.manifests import a_server
from e2e.product import Product
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from e2e.internet import Internet

pytestmark = pytest.mark.timeout(1200)

PORT = 7001
_OURS = {
    **{name: rf"/{name}$" for name in ("etcd", "kube-apiserver", "kube-controller-manager")},
    "dnsmasq": r"(^|/)dnsmasq$",
    "qemu": r"/qemu-system-",
}
_MODULES = {"supervisor": "controlplane", "operator": "operator", "node": "node"}
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
    time.sleep(0.02)  # a few megabytes a second: what is tested needs the processors as well
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


def _processes(product: Product) -> Counter[str]:
    """Return how many processes of each kind the product has, as the kernel tells it and not the product."""
    return Counter(name for _, name in _own(product))


def _own(product: Product) -> Iterator[tuple[int, str]]:
    """Yield the PID and the kind of each process of the product."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            environment = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            if f"VS_STATE={product.state}" not in environment and not any(str(product.state) in word for word in line):
                continue
            kinds = [name for name, pattern in _OURS.items() if re.search(pattern, line[0])]
            kinds += [name for name, module in _MODULES.items() if f"virtualserver.{module}" in line[1:4]]
            yield from ((int(folder.name), kind) for kind in kinds)


def test_each_process_may_be_killed_during_a_download(product: Product, client: Internet) -> None:
    product.apply(a_server("source", network={"public": True, "tcp": {"ports": [22, PORT]}}))
    address = product.wait_ready("source")["status"]["network"]["externalIP"]
    product.guest("source").serve("tcp", PORT, "source")
    try:
        with _download(client, address) as download:
            download.goes_on()
            machine = _machine_pid(product)
            before = _spec_versions(product)
            one_each = _processes(product)
            assert set(one_each) == {*_OURS, *_MODULES}
            assert max(one_each.values()) == 1
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
                assert pid
                os.kill(pid, signal.SIGKILL)
                killed = time.monotonic()
                eventually(
                    lambda name=name, pid=pid: product.process(name) not in (0, pid),
                    what=f"{name} to be back",
                    seconds=120,
                )
                print(f"{name} was back after {time.monotonic() - killed:.1f} s")
                download.goes_on()
                eventually(lambda: product.is_ready, what=f"all to be ready after {name} was killed", seconds=120)
                assert _processes(product) == one_each, f"after {name} was killed"
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


def test_all_that_stood_still_for_longer_than_a_lease_goes_on_as_after_a_laptops_lid(
    product: Product, client: Internet
) -> None:
    product.apply(a_server("lid", network={"public": True, "tcp": {"ports": [22, PORT]}}))
    address = product.wait_ready("lid")["status"]["network"]["externalIP"]
    product.guest("lid").serve("tcp", PORT, "source")
    try:
        with _download(client, address) as download:
            download.goes_on()
            machine, one_each, before = _machine_pid(product), _processes(product), _spec_versions(product)
            stopped = [pid for pid, _ in _own(product)]
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(17)  # a lease lasts 15 s, and the client waits for 20 s
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
            woken = time.monotonic()
            download.goes_on()
            eventually(lambda: product.is_ready and _processes(product) == one_each, what="all to be ready", seconds=60)
            print(f"all was ready {time.monotonic() - woken:.1f} s after it went on")
            assert _machine_pid(product) == machine, "the guest is the same process"
            assert _spec_versions(product) == before, "nothing was written again"
            download.goes_on()
    finally:
        product.delete("vs", "lid")


def _machine_pid(product: Product) -> int:
    return product.process("qemu")


def _machines(product: Product) -> dict[str, str]:
    """Return the PID of each server's machine by the server's name."""
    return {
        entry["name"].removeprefix("qemu default/"): entry["detail"]
        for entry in product.inventory()
        if entry["name"].startswith("qemu default/")
    }


def test_servers_that_ran_run_again_after_a_down_that_was_killed(product: Product, client: Internet) -> None:
    network = {"public": True, "tcp": {"ports": [22]}}
    strategies = {"quick": "RerunOnFailure", "once": "Manual", "deaf": "RerunOnFailure"}
    product.apply(*(a_server(name, network=network, runStrategy=how) for name, how in strategies.items()))
    try:
        addresses = {name: product.wait_ready(name)["status"]["network"]["externalIP"] for name in strategies}
        instances = {name: product.get("vmi", name)["metadata"]["uid"] for name in strategies}
        # It does not hear the button, so that the others are long down while the end of this one is waited for.
        product.guest("deaf").run("for p in $(pidof acpid); do kill -9 $p; done")
        before = _machines(product)
        assert set(before) == set(strategies)
        with subprocess.Popen([sys.executable, "-m", "virtualserver.cli", "down"], env=product.environment) as down:
            eventually(
                lambda: (
                    not any(client.probe("tcp", addresses[name], 22)["result"] == "open" for name in ("quick", "once"))
                ),
                what="the guests that listen to go down",
            )
            assert down.poll() is None, "it still waits for the deaf one"
            down.kill()
        product.vs("up", "--no-hello")
        for name, address in addresses.items():
            eventually(lambda a=address: client.probe("tcp", a, 22)["result"] == "open", what=name, seconds=120)
            product.wait_ready(name)
        after = _machines(product)
        assert after["deaf"] == before["deaf"], "what went on was adopted"
        assert after["quick"] != before["quick"]
        assert after["once"] != before["once"]
        assert {name: product.get("vmi", name)["metadata"]["uid"] for name in strategies} == instances
    finally:
        product.delete("vs", *strategies)


def _settled(product: Product) -> list[dict[str, Any]]:
    """Return the inventory once nothing of it has changed for two seconds: what was deleted before is gone."""

    def same() -> list[dict[str, Any]]:
        found = product.inventory()
        time.sleep(2)
        return found if product.inventory() == found else []

    return eventually(same, what="the inventory to stay the same", seconds=60)


def test_an_instance_of_the_same_name_in_another_folder_leaves_this_one_alone(
    product: Product, client: Internet
) -> None:
    product.apply(a_server("mine", network={"public": True, "tcp": {"ports": [22]}}))
    try:
        address = product.wait_ready("mine")["status"]["network"]["externalIP"]
        eventually(lambda: set(_machines(product)) == {"mine"}, what="former tests' machines to end", seconds=60)
        before = _settled(product)
        with a_folder() as state:
            other = Product(product.installation, state, programs=product.programs)
            refused = other.attempt("up", "--no-hello")
            assert refused.returncode == 1
            assert "an instance of the same name, in another state folder, uses it" in refused.stderr
            assert "choose another name: VS_INSTANCE=NAME vs up" in refused.stderr
            other.vs("down", "--purge", "--yes")
        assert product.inventory() == before
        assert client.probe("tcp", address, 22)["result"] == "open"
    finally:
        product.delete("vs", "mine")


def test_a_node_that_stands_still_keeps_no_namespace_from_being_deleted(product: Product) -> None:
    """Fault 45: discovery failed for everybody until the node answered again."""
    served = {
        "v1.subresources.kubevirt.io",
        "v1alpha3.subresources.kubevirt.io",
        "v1alpha1.network.virtualservers.coreweave.com",
    }

    def registered() -> set[str]:
        return set(
            product.kubectl("get", "apiservices", "-o", "name")
            .replace("apiservice.apiregistration.k8s.io/", "")
            .split()
        )

    product.kubectl("create", "namespace", "leaves")
    node = product.process("node")
    os.kill(node, signal.SIGSTOP)
    try:
        eventually(lambda: not served & registered(), what="the node's APIs to go", seconds=60)
        product.kubectl("delete", "namespace", "leaves", "--timeout=60s")
    finally:
        with suppress(ProcessLookupError):
            os.kill(node, signal.SIGCONT)
    eventually(lambda: served <= registered(), what="the node's APIs to come back", seconds=120)


def test_an_operator_that_stands_still_is_told_and_started_again_within_half_a_minute(product: Product) -> None:
    """One object never holds another's pass: a loop that stands still is seen, also where nobody knows why."""
    operator = product.process("operator")
    os.kill(operator, signal.SIGSTOP)
    began = time.monotonic()

    def told() -> str:
        return product.components()["operator"]["trouble"]

    try:
        trouble = eventually(told, what="what is wrong with the operator", seconds=60)
        assert trouble.startswith("its event loop has stood still for ")
        eventually(lambda: product.process("operator") not in (0, operator), what="another operator", seconds=120)
        print(f"started again {time.monotonic() - began:.0f} s after it was stopped")
        eventually(lambda: product.is_ready, what="all to be ready", seconds=120)
        shown = {part["name"]: part for part in json.loads(product.vs("status", "-o", "json"))["components"]}
        assert (shown["operator"]["pid"], shown["operator"]["trouble"]) == (product.process("operator"), "")
    finally:
        with suppress(ProcessLookupError):
            os.kill(operator, signal.SIGCONT)
