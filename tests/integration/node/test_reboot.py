"""The host was started again: what of the earlier boot is on disk is no longer true, and what ran runs again.

A reboot is imitated: everything of the node is ended the hard way, and the records are those of another boot.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.node_world import a_machine, a_service, a_volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with us."""
    process = subprocess.Popen(["sleep", "600"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def reboot(node: NodeWorld, *guests: str, pid_is_now_of: int) -> None:
    """Leave what a reboot leaves: the state folder, whose records name another boot and PIDs that others have."""
    node.stop_node(signal.SIGKILL)
    for name in guests:
        os.kill(node.qemu_pid(name), signal.SIGKILL)
    asyncio.run(node.data_plane().stop())
    for folder in ("machines", "node", "fabric"):
        shutil.rmtree(node.installation.run / folder, ignore_errors=True)
    earlier = str(uuid.uuid4())
    stat = Path(f"/proc/{pid_is_now_of}/stat").read_text()
    for record in (node.installation.state / "machines").glob("*/process"):
        record.write_text(f"{earlier}\n{stat}")
    with sqlite3.connect(node.installation.state / "claims.sqlite") as claims:
        changed = claims.execute("UPDATE facts SET value = ? WHERE name = 'boot'", (earlier,)).rowcount
    claims.close()
    assert changed == 1
    accelerator = node.installation.state / "accelerator.json"
    accelerator.write_text(json.dumps({**json.loads(accelerator.read_text()), "boot": earlier, "reason": "stale"}))


def on(machine: dict[str, Any], *vpcs: str) -> dict[str, Any]:
    """Return a machine with a network card on each of these VPCs besides, in this order."""
    spec = machine["spec"]["template"]["spec"]
    spec["domain"]["devices"]["interfaces"] += [{"name": vpc, "bridge": {}} for vpc in vpcs]
    spec["networks"] = [*spec["networks"], *({"name": vpc, "multus": {"networkName": vpc}} for vpc in vpcs)]
    return machine


def a_vpc(name: str) -> dict[str, Any]:
    """Return a VPC."""
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name},
        "spec": {"config": '{"cniVersion": "0.3.1", "type": "bridge"}'},
    }


def cards(node: NodeWorld, name: str) -> list[str]:
    """Return the MACs of a guest's network cards in the order of their PCI slots."""
    seen = node.guest(name).run("for nic in /sys/bus/pci/devices/*/virtio*/net/*; do cat $nic/address; done")
    return seen.split()


def test_what_ran_runs_again_and_what_did_not_does_not(node: NodeWorld, stranger: subprocess.Popen[bytes]) -> None:
    node.apply(a_vpc("red"), a_vpc("green"), a_vpc("blue"))
    node.apply(a_service("one-tcp", selects="one"), a_volume("one"), on(a_machine("one"), "red", "green", "blue"))
    node.apply(a_volume("off"), a_machine("off", strategy="Halted"))
    node.wait_printable("one", "Running")
    node.wait_taken("one")
    address, before = node.address_of("one-tcp"), node.get("vmi", "one")
    shown = [card["mac"] for card in before["status"]["interfaces"]]
    assert cards(node, "one") == shown and len(set(shown)) == 4
    # Not `sync`, which does not flush a disk without a file system.
    node.guest("one").run("echo written | dd of=/dev/vda conv=fsync 2>/dev/null")

    reboot(node, "one", pid_is_now_of=stranger.pid)
    node.start_node()

    node.wait_printable("one", "Running")
    node.wait_taken("one")
    after = node.get("vmi", "one")
    assert after["metadata"]["uid"] == before["metadata"]["uid"], "it is no new VMI, and no failure is counted"
    assert after["status"]["interfaces"] == before["status"]["interfaces"]
    assert cards(node, "one") == shown, "the cards of VPCs stand in the list's order, with their MACs"
    assert node.address_of("one-tcp") == address
    node.wait_answers(address, 22)
    assert node.guest("one").run("head -c 7 /dev/vda") == "written"
    assert node.status("vm", "off")["printableStatus"] == "Stopped"
    assert stranger.poll() is None, "a process that has the PID of a machine of the earlier boot was ended"
    assert json.loads((node.installation.state / "accelerator.json").read_text())["reason"] != "stale"


def test_a_guest_that_was_being_stopped_stays_stopped(node: NodeWorld, stranger: subprocess.Popen[bytes]) -> None:
    node.apply(a_volume("one"), a_machine("one"))
    node.wait_printable("one", "Running")
    node.stop_node()
    node.patch("vm", "one", {"spec": {"runStrategy": "Halted"}})
    reboot(node, "one", pid_is_now_of=stranger.pid)
    node.start_node()
    node.wait_printable("one", "Stopped")
    node.eventually(lambda: not node.get("vmi", "one"))
    assert stranger.poll() is None


def test_a_host_that_is_called_otherwise_is_the_same_node(node: NodeWorld) -> None:
    before = node.api.kubectl("get", "nodes", "-o", "name")
    node.stop_node()
    try:
        node.start_node(hostname="called-otherwise")
        assert node.api.kubectl("get", "nodes", "-o", "name") == before
    finally:
        node.stop_node()
        node.start_node()
