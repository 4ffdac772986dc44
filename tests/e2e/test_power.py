"""start, stop and restart as clients ask for them, and the run strategies."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from e2e.manifests import a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.product import Product

PRIVATE = {"public": False}
RUNNING = {"Always": "always", "RerunOnFailure": "rerun", "Manual": "manual"}
NAMES = {**RUNNING, "Halted": "halted"}


@pytest.fixture(scope="module")
def servers(product: Product) -> Iterator[Product]:
    """A server of each run strategy, all with ``initializeRunning``."""
    try:
        product.apply(*(a_server(name, network=PRIVATE, runStrategy=strategy) for strategy, name in NAMES.items()))
        yield product
    finally:
        product.delete("vs", *NAMES.values())


def _ask(product: Product, name: str, verb: str, *, version: str = "v1", body: str = "{}") -> None:
    """PUT, and see what clients decode: the status of the answer and the one in its body."""
    path = f"/apis/subresources.kubevirt.io/{version}/namespaces/default/virtualmachines/{name}/{verb}"
    done = product.try_kubectl("-v=6", "replace", "--raw", path, "-f", "-", stdin=body)
    assert done.returncode == 0, done.stderr
    assert 'verb="PUT"' in done.stderr and 'status="202 Accepted"' in done.stderr, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["kind"], answer["code"]) == ("Status", 202), answer


def _guest(product: Product, name: str) -> str:
    """Return the UID of the machine's run, empty where it does not run."""
    return str(product.get("vmi", name).get("metadata", {}).get("uid", ""))


def _strategy(product: Product, name: str) -> str:
    return product.get("vm", name)["spec"]["runStrategy"]


def _wait_started(product: Product, name: str, *, other_than: str = "") -> None:
    eventually(lambda: _guest(product, name) not in ("", other_than), what=f"another guest of {name}", seconds=180)
    product.wait_ready(name, seconds=180)
    assert product.condition(name, "VirtualServerStarted")["status"] == "True"


def _wait_stopped(product: Product, name: str) -> None:
    product.wait_reason(name, "VirtualServerStopped", seconds=180)
    started = product.condition(name, "VirtualServerStarted")
    assert started["status"] == "False", started
    assert product.get("vs", name)["status"]["network"]["internalIP"] == ""
    # A guest that ended by itself leaves its instance behind, as on a cluster; none may run.
    assert product.get("vmi", name).get("status", {}).get("phase") in (None, "Succeeded")


def _reconcile_anew(product: Product, *names: str) -> None:
    """Let every part look at everything again: changed objects, and programs that know nothing of before."""
    before = {program: product.process(program) for program in ("operator", "node")}
    for program in before.values():
        os.kill(program, signal.SIGKILL)

    def back() -> bool:
        now = {name: entry["pid"] for name, entry in product.components().items() if entry["ready"]}
        return all(now.get(program) not in (None, 0, pid) for program, pid in before.items())

    eventually(back, what="operator and node to be back", seconds=180)
    for name in names:
        product.kubectl("annotate", "--overwrite", "vm", name, f"touched={before['node']}")
        product.kubectl("patch", "vs", name, "--type=merge", "-p", '{"spec":{"network":{"headless":true}}}')
        generation = product.get("vs", name)["metadata"]["generation"]
        eventually(
            lambda name=name, generation=generation: product.condition(name).get("observedGeneration") == generation,
            what=f"the change of {name} to be seen",
            seconds=180,
        )


def test_each_strategy_starts_as_it_says(servers: Product) -> None:
    for name in RUNNING.values():
        _wait_started(servers, name)
    _wait_stopped(servers, "halted")
    # Manual has had its one start, and is from now on what the manifest says.
    for strategy, name in NAMES.items():
        eventually(lambda name=name, strategy=strategy: _strategy(servers, name) == strategy, what=f"{name}'s strategy")


def test_a_stop_happens_and_is_never_undone(servers: Product) -> None:
    for name in RUNNING.values():
        servers.wait_ready(name)
        servers.vs("stop", name, "--no-wait")
    for name in RUNNING.values():
        assert json.loads(servers.vs("stop", name, "-o", "json"))["reason"] == "VirtualServerStopped"
        _wait_stopped(servers, name)
    assert "is stopped already" in servers.vs("stop", "always")
    _reconcile_anew(servers, *NAMES.values())
    for name in NAMES.values():
        _wait_stopped(servers, name)


def test_a_start_happens_and_is_never_undone(servers: Product) -> None:
    for name in NAMES.values():
        _wait_stopped(servers, name)
        servers.vs("start", name, "--no-wait")
    for name in NAMES.values():
        servers.vs("start", name)
        _wait_started(servers, name)
    assert "runs already" in servers.vs("start", "always")
    # The server's own strategy takes the place of KubeVirt's Always, unless that would stop it.
    after = {**{name: strategy for strategy, name in NAMES.items()}, "halted": "Always"}
    for name, strategy in after.items():
        eventually(lambda name=name, strategy=strategy: _strategy(servers, name) == strategy, what=f"{name}'s strategy")
    guests = {name: _guest(servers, name) for name in NAMES.values()}
    _reconcile_anew(servers, *NAMES.values())
    for name, guest in guests.items():
        servers.wait_ready(name)
        assert _guest(servers, name) == guest, "the same guest runs on"


def test_a_restart_is_a_stop_and_a_start(servers: Product) -> None:
    before = {name: _guest(servers, name) for name in NAMES.values()}
    for name in NAMES.values():
        servers.wait_ready(name)
        if name != "always":
            _ask(servers, name, "restart")
    # As people do it, who get their prompt back when another guest is ready.
    servers.vs("restart", "always")
    assert _guest(servers, "always") != before["always"]
    for name, guest in before.items():
        _wait_started(servers, name, other_than=guest)
    assert _strategy(servers, "manual") == "Manual"


def test_a_guest_that_powers_itself_off_follows_its_run_strategy(servers: Product) -> None:
    before = {name: _guest(servers, name) for name in RUNNING.values()}
    for name in RUNNING.values():
        servers.wait_ready(name)
        servers.guest(name).run("(sleep 1; poweroff) >/dev/null 2>&1 &")
    _wait_started(servers, "always", other_than=before["always"])
    for name in ("rerun", "manual"):
        _wait_stopped(servers, name)


def test_a_machine_that_dies_follows_its_run_strategy(servers: Product) -> None:
    for name in ("rerun", "manual"):
        _wait_stopped(servers, name)
        _ask(servers, name, "start")
    before: dict[str, str] = {}
    for name in ("rerun", "manual"):
        _wait_started(servers, name)
        before[name] = _guest(servers, name)
        os.kill(servers.process(f"qemu default/{name}"), signal.SIGKILL)
    _wait_started(servers, "rerun", other_than=before["rerun"])
    eventually(lambda: servers.get("vmi", "manual")["status"]["phase"] == "Failed", what="manual to have failed")
    assert servers.condition("manual")["status"] == "False"


def test_a_manifest_without_initialize_running_ends_stopped_and_can_be_started(product: Product) -> None:
    product.apply(a_server("quiet", running=False, network=PRIVATE))
    try:
        product.wait_reason("quiet", "VirtualServerStopped")
        assert product.condition("quiet", "VirtualMachineReady")["status"] == "True"
        # What old clients send: another version, and no body.
        _ask(product, "quiet", "start", version="v1alpha3", body="")
        product.wait_ready("quiet")
    finally:
        product.delete("vs", "quiet")


def test_a_guest_that_ignores_the_power_button_is_stopped_after_its_grace_period(product: Product) -> None:
    """And whoever is to have what it has waits for that, by name, and goes on by itself."""
    network = {**PRIVATE, "macAddress": "02:00:00:00:0d:ea"}
    product.apply(a_server("deaf", network=network, terminationGracePeriodSeconds=6))
    try:
        product.wait_ready("deaf")
        product.guest("deaf").run("for p in $(pidof acpid); do kill -9 $p; done")
        product.delete("vs", "deaf")
        product.apply(a_server("heir", network=network, terminationGracePeriodSeconds=3))
        waits = product.wait_reason("heir", "Stopping", seconds=15)
        assert "deaf, which was deleted, has MAC address 02:00:00:00:0d:ea until" in waits["message"]
        product.wait_ready("heir")
        product.guest("heir").run("for p in $(pidof acpid); do kill -9 $p; done")
        _ask(product, "heir", "stop")
        product.wait_reason("heir", "VirtualServerStopped", seconds=90)
    finally:
        product.delete("vs", "deaf", "heir")
