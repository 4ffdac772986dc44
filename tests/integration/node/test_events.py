"""What `kubectl describe` shows of a machine and its Service, and that nothing is told twice."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from harness.node_world import a_machine, a_service, a_volume
from virtualserver.api import names
from virtualserver.fabric import repairs
from virtualserver.plan import sites

if TYPE_CHECKING:
    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)


def told(node: NodeWorld) -> list[tuple[str, str, str, int]]:
    """Return kind, name, reason and count of the namespace's Events, in their order of writing."""
    events: list[dict[str, Any]] = json.loads(node.api.kubectl("-n", node.namespace, "get", "events", "-o", "json"))[
        "items"
    ]
    events.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    return [
        (one["involvedObject"]["kind"], one["involvedObject"]["name"], one["reason"], one["count"]) for one in events
    ]


def wait_told(node: NodeWorld, *wanted: tuple[str, str, str, int]) -> None:
    """Wait until exactly these Events are there, in any order between objects."""
    node.eventually(lambda: sorted(told(node)) == sorted(wanted), what=lambda: f"{wanted}; told {told(node)}")


def test_start_stop_and_addresses_are_told_once(node: NodeWorld) -> None:
    node.apply(a_volume("one"), a_machine("one"))
    node.wait_printable("one", "Running")
    node.apply(a_service("one-tcp", selects="one"))
    node.wait_taken("one")
    granted = ("Service", "one-tcp", "AddressAssigned", 1)
    started = ("VirtualMachine", "one", "Started", 1)
    wait_told(node, granted, started)
    description = node.api.kubectl("-n", node.namespace, "describe", "vm", "one")
    address = node.get("vmi", "one")["status"]["interfaces"][0]["ipAddress"]
    assert f"the guest was started, with the address {address}" in description
    assert f"the address {node.address_of('one-tcp')} was assigned" in node.api.kubectl(
        "-n", node.namespace, "describe", "service", "one-tcp"
    )
    # A node that comes back looks at everything once more.
    node.stop_node()
    node.start_node()
    node.ask("one", "stop")
    node.wait_printable("one", "Stopped")
    wait_told(node, granted, started, ("VirtualMachine", "one", "Stopped", 1))


def test_fault_16_what_of_an_object_has_no_effect_is_named_and_told_and_forgotten_when_it_goes(node: NodeWorld) -> None:
    volume = a_volume("disk")
    volume["spec"]["storage"]["storageClassName"] = "block-nvme-ord1"
    ports = [{"name": "web", "port": 80, "appProtocol": "kubernetes.io/h2c"}]
    spec = {"selector": {"app": "web"}, "ports": ports}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "app"}, "spec": spec}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "alone"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}},
    }
    node.apply(volume, service, claim, a_machine("idle", strategy="Halted", nodeSelector={"disk": "fast"}))
    told_of = {
        ("service", "app"): "spec.ports[0].appProtocol: no effect here",
        ("datavolume", "disk"): "spec.storage.storageClassName: no effect here",
        ("vm", "idle"): "spec.template.spec.nodeSelector: no effect here",
        ("pvc", "alone"): "spec: no disk is made for a claim alone: make a DataVolume, which makes its claim",
    }

    def told_by_conditions() -> dict[tuple[str, str], str | None]:
        return {key: node.condition(*key, names.FULLY_APPLIED).get("message") for key in told_of}

    node.eventually(lambda: told_by_conditions() == told_of, what=lambda: f"{told_of}; told {told_by_conditions()}")
    wait_told(
        node,
        ("Service", "app", "PartlyApplied", 1),
        ("DataVolume", "disk", "PartlyApplied", 1),
        ("VirtualMachine", "idle", "PartlyApplied", 1),
        ("PersistentVolumeClaim", "alone", "NotSupportedYet", 1),
    )
    node.patch("vm", "idle", {"spec": {"template": {"spec": {"nodeSelector": None}}}})
    node.patch("service", "app", {"spec": {"ports": [{"name": "web", "port": 80}]}})
    node.eventually(lambda: not node.condition("vm", "idle", names.FULLY_APPLIED))
    node.eventually(lambda: not node.condition("service", "app", names.FULLY_APPLIED))


def test_what_keeps_a_guest_from_starting_is_told_with_its_reason(node: NodeWorld) -> None:
    node.apply(a_volume("one"), a_machine("one", memory="900Gi"))
    node.wait_printable("one", "ErrorUnschedulable")
    wait_told(node, ("VirtualMachine", "one", "MemoryExceedsMachine", 1))
    assert "asks for 900Gi of memory" in node.api.kubectl("-n", node.namespace, "describe", "vm", "one")


def test_a_tenant_reads_no_path_of_the_host_in_conditions_and_events(node: NodeWorld) -> None:
    disks = node.installation.disks
    node.apply(a_volume("one"))
    node.eventually(lambda: node.status("dv", "one").get("phase") == "Succeeded")
    disks.chmod(0o700)
    try:
        node.apply(a_machine("one"))
        node.eventually(lambda: node.condition("vm", "one", "Failure").get("reason") == "LaunchFailed")
        node.eventually(lambda: "LaunchFailed" in node.api.kubectl("-n", node.namespace, "get", "events"))
        told = [node.api.kubectl("-n", node.namespace, "get", kind, "-o", "json") for kind in ("vm,vmi,dv", "events")]
    finally:
        disks.chmod(0o711)
    disk = f"{node.get('dv', 'one')['metadata']['uid']}.qcow2"
    assert all(disk in text and str(node.installation.root) not in text for text in told), told
    assert f"{disks / disk}" in node.log, "the administrator reads which file it is"
    node.wait_printable("one", "Running")


def test_what_somebody_takes_away_of_the_data_plane_is_put_back_and_told_of_the_node(node: NodeWorld) -> None:
    inside = ("nsenter", f"--net=/run/netns/vs-{node.installation.name}")
    subprocess.run([*inside, "nft", "flush", "ruleset"], check=True)

    def told_of_node() -> list[str]:
        events = json.loads(node.api.kubectl("-n", "default", "get", "events", "-o", "json"))["items"]
        return [one["message"] for one in events if one["reason"] == "DataPlaneRepaired"]

    node.eventually(lambda: any("nftables rules" in message for message in told_of_node()))
    listed = subprocess.run([*inside, "nft", "list", "ruleset"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "chain forward" in listed
    (recorded, *_) = repairs.read(node.installation.fabric_run)
    assert recorded.what.startswith("nftables rules")


def test_the_site_file_is_followed_and_a_faulty_one_changes_nothing(node: NodeWorld) -> None:
    file, effective = node.installation.site_file, node.installation.effective_site

    def keeps_disks() -> bool:
        return sites.load(effective.read_text()).keep_disk

    def told_of_node(reason: str) -> list[str]:
        events = json.loads(node.api.kubectl("-n", "default", "get", "events", "-o", "json"))["items"]
        return [one["message"] for one in events if one["reason"] == reason]

    assert not keeps_disks()
    try:
        file.write_text("defaults: {keepDisk: true}\n")
        node.eventually(keeps_disks)
        node.eventually(lambda: told_of_node("SiteTakenOver"))
        file.write_text("defaults: {keepDisk: 7}\nverb: []\n")
        node.eventually(lambda: told_of_node("SiteRefused"))
        (said,) = told_of_node("SiteRefused")
        assert "site.defaults.keepDisk: 7 has the wrong type" in said
        assert "site.verb: is not known: did you mean verbs?" in said
        node.stop_node()
        node.start_node()
        assert keeps_disks(), "what held before the faulty file holds after a restart too"
    finally:
        file.unlink()
    node.eventually(lambda: not keeps_disks())
