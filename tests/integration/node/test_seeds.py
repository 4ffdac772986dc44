"""What guests are told by cloud-init, from real Secrets and VirtualMachines."""

from __future__ import annotations

import base64
import gzip
from typing import TYPE_CHECKING, Any

import pytest

from harness.node_world import an_empty_machine

if TYPE_CHECKING:
    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)

PACKED = gzip.compress(b"#cloud-config\n{}\n", mtime=0)
NETWORK = gzip.compress(b"version: 2\nethernets: {}\n", mtime=0)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def a_machine_told(name: str, **source: Any) -> dict[str, Any]:
    """Return a machine without a disk that has a seed."""
    machine = an_empty_machine(name)
    spec = machine["spec"]["template"]["spec"]
    spec["domain"]["devices"]["disks"] = [{"name": "seed", "disk": {"bus": "virtio"}}]
    spec["volumes"] = [{"name": "seed", "cloudInitNoCloud": source}]
    return machine


def a_secret(name: str, **data: bytes) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {key: encoded(value) for key, value in data.items()},
    }


@pytest.mark.parametrize(
    "source",
    [
        {"secretRef": {"name": "told"}, "networkDataSecretRef": {"name": "told"}},
        {"userDataBase64": encoded(PACKED), "networkDataBase64": encoded(NETWORK)},
    ],
    ids=["secret", "base64"],
)
def test_user_data_that_are_no_text_reach_the_guest_as_they_are(node: NodeWorld, source: dict[str, Any]) -> None:
    node.apply(a_secret("told", userdata=PACKED, networkdata=NETWORK), a_machine_told("one", **source))
    node.wait_printable("one", "Running")
    seed = (node.installation.state / "seeds" / f"{node.get('vmi', 'one')['metadata']['uid']}.iso").read_bytes()
    assert PACKED in seed and NETWORK in seed


def test_a_secret_that_is_missing_is_named_and_waited_for(node: NodeWorld) -> None:
    node.apply(a_machine_told("one", secretRef={"name": "told"}))
    node.eventually(lambda: node.condition("vm", "one", "Failure").get("reason") == "WaitingForSecret")
    assert f"Secret {node.namespace}/told does not exist yet" in node.condition("vm", "one", "Failure")["message"]
    node.apply(a_secret("told", userdata=PACKED))
    node.wait_printable("one", "Running", seconds=30)
