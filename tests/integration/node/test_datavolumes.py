"""Disks from DataVolumes, with the real API server, qemu-img and guests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.node_world import a_machine, a_volume, an_empty_machine, an_image
from virtualserver.api import names
from virtualserver.kube.fields import annotations_of
from virtualserver.local import making
from virtualserver.plan.sites.site import DISK_OVERCOMMIT
from virtualserver.storage.disks import DiskStore
from virtualserver.storage.images import ImageStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)

MIB = 1 << 20
WRITE = "echo kept | dd of=/dev/vda conv=fsync 2>/dev/null; sync"
READ = "dd if=/dev/vda bs=4 count=1 2>/dev/null"


def restart(node: NodeWorld, name: str) -> None:
    """Restart a machine, and wait until its next guest has its address."""
    before = node.get("vmi", name)["metadata"]["uid"]
    node.ask(name, "restart")
    node.eventually(lambda: node.get("vmi", name).get("metadata", {}).get("uid", before) != before)
    node.wait_taken(name)


def test_a_disk_that_is_asked_to_grow_does_so_at_the_next_start_and_keeps_what_is_written(node: NodeWorld) -> None:
    node.apply(a_volume("one"), a_machine("one"))
    node.wait_taken("one")
    sectors = "cat /sys/class/block/vda/size"
    assert int(node.guest("one").run(sectors)) * 512 == 64 * MIB
    node.guest("one").run(WRITE)
    node.apply(a_volume("one", size="96Mi"))
    restart(node, "one")
    assert int(node.guest("one").run(sectors)) * 512 == 96 * MIB
    assert node.guest("one").run(READ) == "kept"
    assert node.status("pvc", "one")["capacity"]["storage"] == "96Mi"


def test_people_see_the_size_of_images_and_of_disks(node: NodeWorld) -> None:
    node.apply(a_volume("one", size="1Gi"))
    node.eventually(lambda: node.status("pvc", "one").get("phase") == "Bound")
    for namespace, name, size in ((node.namespace, "one", "1Gi"), ("vd-images", "tiny", "64Mi")):
        words = node.api.kubectl("-n", namespace, "get", "pvc", name, "--no-headers").split()
        assert words[1] == "Bound" and words[3] == size, words


def test_an_image_that_is_being_made_is_waited_for_and_one_whose_maker_is_gone_says_so(node: NodeWorld) -> None:
    store, name = ImageStore(node.installation.images), f"half-{node.namespace}"
    with store.making(name):
        node.apply(making.unfinished(name), a_volume("one", source=name))
        node.eventually(lambda: "is being made" in node.condition("dv", "one", "Ready").get("message", ""))
        assert node.status("dv", "one")["phase"] == "Pending"
        time.sleep(5)
        claim = node.get("pvc", name, namespace=names.IMAGE_NAMESPACE)
        assert claim["metadata"]["annotations"][names.IMAGE_PROGRESS] == "0% begins"
        assert not claim["status"].get("conditions")
    node.eventually(
        lambda: (
            annotations_of(node.get("pvc", name, namespace=names.IMAGE_NAMESPACE))[names.IMAGE_PROGRESS]
            == names.IMAGE_ABANDONED
        )
    )
    (told,) = node.get("pvc", name, namespace=names.IMAGE_NAMESPACE)["status"]["conditions"]
    assert (told["type"], told["reason"]) == (names.IMAGE_MADE, "Abandoned")
    assert "ended before it was done (0% begins): run that command again" in told["message"]
    node.eventually(lambda: "was not made to its end" in node.condition("dv", "one", "Ready").get("message", ""))
    node.api.kubectl("-n", names.IMAGE_NAMESPACE, "delete", "pvc", name)
    node.apply(an_image(name, node.digest))
    node.eventually(lambda: node.status("dv", "one").get("phase") == "Succeeded")
    node.api.kubectl("-n", names.IMAGE_NAMESPACE, "annotate", "pvc", name, f"{names.IMAGE_PROGRESS}=45% again")
    node.eventually(
        lambda: names.IMAGE_PROGRESS not in annotations_of(node.get("pvc", name, namespace=names.IMAGE_NAMESPACE))
    )
    assert not node.get("pvc", name, namespace=names.IMAGE_NAMESPACE)["status"].get("conditions")
    node.api.kubectl("-n", names.IMAGE_NAMESPACE, "delete", "pvc", name)


def test_what_is_written_to_an_ephemeral_disk_is_gone_at_the_next_start(node: NodeWorld) -> None:
    ephemeral = [{"name": "root", "ephemeral": {"persistentVolumeClaim": {"claimName": "one"}}}]
    node.apply(a_volume("one"), a_machine("one", volumes=ephemeral))
    node.wait_taken("one")
    node.guest("one").run(WRITE)
    assert node.guest("one").run(READ) == "kept"
    restart(node, "one")
    assert node.guest("one").run(READ) != "kept"


def test_a_disk_that_another_machine_writes_to_stays_that_machines(node: NodeWorld) -> None:
    node.apply(a_volume("one"), a_machine("one"))
    node.wait_taken("one")
    disk = node.installation.disks / f"{node.get('dv', 'one')['metadata']['uid']}.qcow2"
    before = disk.stat().st_uid
    seed = {"name": "seed", "cloudInitNoCloud": {"userData": "#cloud-config"}}
    node.apply(a_machine("two", volumes=[{"name": "root", "dataVolume": {"name": "one"}}, seed]))
    node.eventually(lambda: node.condition("vm", "two", "Failure").get("reason") == "DiskInUse")
    assert list(node.installation.seeds.iterdir()) == [], "who waits has no file there, however many wait"
    message = node.condition("vm", "two", "Failure")["message"]
    assert "spec.volumes[root]: the disk of one is in use by VirtualMachine one: vs stop one, or" in message
    assert disk.stat().st_uid == before, "its file is still the first one's"
    node.apply(a_copy("three", node, "one"))
    node.eventually(lambda: node.condition("dv", "three", "Ready").get("reason") == "SourceInUse")
    message = node.condition("dv", "three", "Ready")["message"]
    assert f"VirtualMachine one writes to the disk of {node.namespace}/one: vs stop one" in message
    node.delete("dv", "three")
    node.guest("one").run(WRITE)
    node.ask("one", "stop")
    node.wait_taken("two")
    assert node.guest("two").run(READ) == "kept"


def a_copy(name: str, node: NodeWorld, source: str, *, size: str = "64Mi", namespace: str = "") -> dict[str, Any]:
    """Return a DataVolume that starts from the disk of another one."""
    volume = a_volume(name, size=size)
    volume["spec"]["source"] = {"pvc": {"namespace": namespace or node.namespace, "name": source}}
    return volume


def test_fault_47_a_disk_of_the_namespace_is_copied_with_all_that_was_written_to_it(node: NodeWorld) -> None:
    """What a kept claim as `source.pvc` means; it boots as the disk did, since it starts from the same image."""
    node.apply(a_volume("one"))
    node.eventually(lambda: node.status("dv", "one").get("phase") == "Succeeded")
    disks = DiskStore(node.installation.disks)
    first = disks.path(node.get("dv", "one")["metadata"]["uid"])
    subprocess.run(["qemu-io", "-c", "write -P 7 1M 3M", first], check=True, capture_output=True)
    node.apply(a_copy("same", node, "one", size="1Mi"), a_copy("larger", node, "one", size="96Mi"))
    for name, size in (("same", "64Mi"), ("larger", "96Mi")):
        node.eventually(lambda name=name: node.status("dv", name).get("phase") == "Succeeded")
        made = disks.path(node.get("dv", name)["metadata"]["uid"])
        subprocess.run(["qemu-img", "compare", "-q", first, made], check=True)
        assert node.status("pvc", name)["capacity"]["storage"] == size
        claims = (node.get("pvc", claim)["metadata"]["annotations"] for claim in ("one", name))
        assert len({claim["virtualservers.coreweave.com/base-image"] for claim in claims}) == 1
    node.apply(a_copy("none", node, "absent"))
    node.eventually(lambda: node.condition("dv", "none", "Ready").get("reason") == "SourceMissing")


def told_of(node: NodeWorld, volume: str) -> str:
    """Return reasons and messages of the Events of a DataVolume."""
    about = f"--field-selector=involvedObject.kind=DataVolume,involvedObject.name={volume}"
    columns = "-o=custom-columns=REASON:.reason,MESSAGE:.message"
    return node.api.kubectl("-n", node.namespace, "get", "events", about, columns)


def test_a_source_that_is_not_supported_fails_with_its_name(node: NodeWorld) -> None:
    volume = a_volume("one")
    volume["spec"]["source"] = {"http": {"url": "http://example.test/disk.qcow2"}}
    node.apply(volume, a_machine("one"))
    node.eventually(lambda: node.status("dv", "one").get("phase") == "Failed")
    why = node.condition("dv", "one", "Ready")["message"]
    assert "spec.source.http" in why
    node.eventually(
        lambda: node.condition("vm", "one", "Failure").get("message", "").endswith(f"is not ready yet: {why}")
    )
    node.eventually(lambda: f"SourceNotSupported   {why}" in told_of(node, "one"))


def test_a_claim_of_somebody_else_is_left_alone(node: NodeWorld) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "one"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    node.apply(claim)
    node.apply(a_volume("one"))
    node.eventually(lambda: node.condition("dv", "one", "Ready").get("reason") == "ClaimNotOurs")
    assert "ownerReferences" not in node.get("pvc", "one")["metadata"]


def test_a_disk_that_cannot_be_made_says_why(node: NodeWorld) -> None:
    node.apply(a_volume("one", size="9Ei"))
    node.eventually(lambda: node.condition("dv", "one", "Ready").get("reason") == "InsufficientStorage")
    message = node.condition("dv", "one", "Ready")["message"]
    assert "no room for a disk of 9663676416Gi" in message and "disks.overcommit in site.yaml" in message


def test_a_size_that_is_none_is_named_and_takes_no_disk_away(node: NodeWorld) -> None:
    node.apply(
        a_volume("one"), *(a_volume(f"new-{number}", size=size) for number, size in enumerate(("-1Gi", "0", "1n")))
    )
    node.eventually(lambda: node.status("dv", "one").get("phase") == "Succeeded")
    for number in range(3):
        name = f"new-{number}"
        node.eventually(lambda name=name: node.condition("dv", name, "Ready").get("reason") == "SizeInvalid")
        assert not node.get("pvc", name)
    node.apply(a_volume("one", size="much"), a_machine("one"))
    node.wait_printable("one", "Running")
    node.eventually(lambda: "keeps its size" in node.condition("dv", "one", "Ready")["message"])
    assert node.status("dv", "one")["phase"] == "Succeeded"


def test_machines_of_impossible_numbers_are_named_by_their_fields(node: NodeWorld) -> None:
    before = len(node.log)
    wanted: dict[str, tuple[dict[str, Any], str]] = {
        "cores": ({"cpu": {"cores": 4294967296}}, "spec.domain.cpu: cores x sockets x threads are 4294967296"),
        "threads": ({"cpu": {"threads": -1}}, "spec.domain.cpu.threads: -1 is less than 1"),
        "minus": ({"memory": {"guest": "-1Gi"}}, "spec.domain.memory.guest: '-1Gi' is less than"),
        "nano": ({"memory": {"guest": "1n"}}, "spec.domain.memory.guest: '1n' is less than"),
        "words": ({"memory": {"guest": "much"}}, "spec.domain.memory.guest: 'much' is no quantity"),
    }
    for name, (domain, _) in wanted.items():
        machine = an_empty_machine(name)
        machine["spec"]["template"]["spec"]["domain"] |= domain
        node.apply(machine)
    for name, (_, words) in wanted.items():
        node.eventually(lambda name=name: node.condition("vm", name, "Failure").get("reason") == "NotSupportedYet")
        assert words in node.condition("vm", name, "Failure")["message"]
    assert "Traceback" not in node.log[before:]


def test_a_disk_that_is_lost_is_not_made_anew_in_silence(node: NodeWorld) -> None:
    node.apply(a_volume("one"))
    node.eventually(lambda: node.status("dv", "one").get("phase") == "Succeeded")
    disk = DiskStore(node.installation.state / "disks").path(node.get("dv", "one")["metadata"]["uid"])
    disk.unlink()
    node.patch("dv", "one", {"metadata": {"annotations": {"example.test/look": "again"}}})
    node.eventually(lambda: node.condition("dv", "one", "Ready").get("reason") == "DiskGone")
    message = node.condition("dv", "one", "Ready")["message"]
    assert f"{disk.name} is gone" in message and str(disk.parent) not in message
    assert f"{disk} is gone" in node.log
    assert f"kubectl delete pvc one -n {node.namespace}" in message
    assert not disk.exists()
    node.delete("pvc", "one")
    node.eventually(lambda: node.status("dv", "one").get("phase") == "Succeeded")
    assert disk.exists()


def test_a_claim_that_names_anothers_disk_as_its_own_gets_no_disk(node: NodeWorld) -> None:
    node.apply(a_volume("victim"))
    node.eventually(lambda: node.status("dv", "victim").get("phase") == "Succeeded")
    victim = node.get("dv", "victim")
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "one",
            "ownerReferences": [
                {
                    "apiVersion": victim["apiVersion"],
                    "kind": "DataVolume",
                    "name": "victim",
                    "uid": victim["metadata"]["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    volumes = [{"name": "root", "persistentVolumeClaim": {"claimName": "one"}}]
    node.apply(claim, a_machine("one", volumes=volumes))
    node.eventually(lambda: "no DataVolume made it" in node.condition("vmi", "one", "Synchronized").get("message", ""))


SLOW = """#!/bin/sh
[ "$1" = create ] && : > {folder}/begun && sleep 2
wait_for() {{ tenths=0; while [ ! -e "$1" ] && [ $tenths -lt 900 ]; do sleep 0.1; tenths=$((tenths + 1)); done; }}
[ "$1" = convert ] && wait_for {folder}/half && printf '    (42.50/100%%)\r' && wait_for {folder}/rest
{program} "$@"
status=$?
[ "$1" = create ] && : > {folder}/ended
exit $status
"""


@pytest.fixture
def slow_node(node: NodeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeWorld]:
    """A node that takes 2 s for a disk, and says in the test's folder when one begins and ends.

    A copy waits there for the files ``half`` and ``rest``.
    """
    program = shutil.which("qemu-img")
    slow = tmp_path / "bin" / "qemu-img"
    slow.parent.mkdir()
    slow.write_text(SLOW.format(folder=tmp_path, program=program))
    slow.chmod(0o755)
    node.stop_node()
    with monkeypatch.context() as changed:
        changed.setenv("PATH", str(slow.parent), prepend=os.pathsep)
        node.start_node()
    yield node
    node.stop_node()
    node.start_node()


def _disks(node: NodeWorld) -> set[str]:
    folder = node.installation.state / "disks"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_a_disk_whose_volume_goes_while_it_is_made_goes_too(slow_node: NodeWorld, tmp_path: Path) -> None:
    before = _disks(slow_node)
    slow_node.apply(a_volume("brief"))
    slow_node.eventually((tmp_path / "begun").exists)
    slow_node.delete("dv", "brief")
    slow_node.eventually((tmp_path / "ended").exists)
    slow_node.eventually(lambda: _disks(slow_node) == before, seconds=10, what="no disk to be left")


def test_a_copy_says_how_far_it_is(slow_node: NodeWorld, tmp_path: Path) -> None:
    slow_node.apply(a_volume("one"))
    slow_node.eventually(lambda: slow_node.status("dv", "one").get("phase") == "Succeeded")
    slow_node.apply(a_copy("two", slow_node, "one"))
    for progress, next_part in (("0.0%", "half"), ("42.5%", "rest"), ("100.0%", "all")):
        slow_node.eventually(lambda progress=progress: slow_node.status("dv", "two").get("progress") == progress)
        (tmp_path / next_part).touch()
    # Its end is told once the disk has its name.
    slow_node.eventually(lambda: slow_node.status("dv", "two")["phase"] == "Succeeded")


def test_a_copy_that_is_asked_to_grow_meanwhile_grows(slow_node: NodeWorld, tmp_path: Path) -> None:
    """Its claim said the new size, and asked for the old one; the disk had the old one for ever."""
    slow_node.apply(a_volume("one"))
    slow_node.eventually(lambda: slow_node.status("dv", "one").get("phase") == "Succeeded")
    slow_node.apply(a_copy("two", slow_node, "one"))
    slow_node.eventually(lambda: slow_node.status("dv", "two").get("phase") == "CloneInProgress")
    slow_node.apply(a_copy("two", slow_node, "one", size="96Mi"))
    for part in ("half", "rest"):
        (tmp_path / part).touch()
    slow_node.eventually(lambda: slow_node.status("dv", "two").get("phase") == "Succeeded")
    slow_node.eventually(lambda: slow_node.status("pvc", "two").get("capacity", {}).get("storage") == "96Mi")
    assert slow_node.get("pvc", "two")["spec"]["resources"]["requests"]["storage"] == str(96 * MIB)
    disks = DiskStore(slow_node.installation.disks)
    assert disks.size(slow_node.get("dv", "two")["metadata"]["uid"]) == 96 * MIB


def test_half_a_disk_that_a_killed_node_left_is_removed(slow_node: NodeWorld, tmp_path: Path) -> None:
    before = _disks(slow_node)
    slow_node.apply(a_volume("half"))
    slow_node.eventually((tmp_path / "begun").exists)
    slow_node.stop_node(signal.SIGKILL)
    slow_node.eventually((tmp_path / "ended").exists)
    assert any(name.endswith(".new") for name in _disks(slow_node) - before)
    slow_node.delete("dv", "half")
    slow_node.start_node()
    slow_node.eventually(lambda: _disks(slow_node) == before, seconds=10, what="no half disk to be left")


def test_a_machine_brings_its_disks_along_and_takes_them_with_it(node: NodeWorld) -> None:
    """Fault 46: `spec.dataVolumeTemplates`, as most published manifests have it."""
    volume = a_volume("brought")
    machine = a_machine("one", strategy="Halted")
    machine["spec"]["dataVolumeTemplates"] = [{"metadata": {"name": "brought"}, "spec": volume["spec"]}]
    machine["spec"]["template"]["spec"]["volumes"] = [{"name": "root", "dataVolume": {"name": "brought"}}]
    node.apply(machine)
    node.eventually(lambda: node.status("dv", "brought").get("phase") == "Succeeded")
    (owner,) = node.get("dv", "brought")["metadata"]["ownerReferences"]
    assert owner["uid"] == node.get("vm", "one")["metadata"]["uid"]
    disk = DiskStore(node.installation.state / "disks").path(node.get("dv", "brought")["metadata"]["uid"])
    assert disk.exists()
    node.delete("dv", "brought")
    node.eventually(lambda: node.status("dv", "brought").get("phase") == "Succeeded", what="it is made again")
    node.delete("vm", "one")
    node.eventually(lambda: not node.get("dv", "brought"), what="the DataVolume is deleted with its machine")
    node.eventually(lambda: not disk.exists(), what="the disk is removed")


def test_fault_43_how_far_disks_are_overcommitted_says_site_yaml_and_a_higher_bound_is_used(node: NodeWorld) -> None:
    told, file = os.statvfs(node.installation.state), node.installation.site_file
    least = 32 * MIB / (told.f_blocks * told.f_frsize)

    def is_refused() -> bool:
        """The node follows the file a moment after it is there; what it makes until then is deleted."""
        node.apply(a_volume("one"))
        ready = node.eventually(lambda: node.condition("dv", "one", "Ready"))
        if ready["status"] == "True":
            node.delete("dv", "one")
        return ready.get("reason") == "InsufficientStorage"

    try:
        file.write_text(f"disks: {{overcommit: {least:.9f}}}\n")
        node.eventually(is_refused)
    finally:
        file.unlink()
    node.eventually(lambda: node.status("dv", "one").get("phase") == "Succeeded")


def test_a_quota_that_refuses_a_claim_or_an_instance_is_told_in_its_words_and_its_lifting_is_used(
    node: NodeWorld,
) -> None:
    """Fault 26; the machine's strategy starts it once only, so what was refused must not count as a start."""
    claims, instances = "persistentvolumeclaims", "count/virtualmachineinstances.kubevirt.io"
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
    node.apply({**quota, "spec": {"hard": {claims: "0", instances: "0"}}})
    node.eventually(lambda: node.status("resourcequota", "few").get("used") == {claims: "0", instances: "0"})
    node.apply(a_volume("one"), a_machine("one", strategy="RerunOnFailure"))
    node.eventually(lambda: node.condition("dv", "one", "Ready").get("reason") == "ClaimRefused")
    assert f"exceeded quota: few, requested: {claims}=1" in node.condition("dv", "one", "Ready")["message"]
    node.eventually(lambda: node.condition("vm", "one", "Failure").get("reason") == "InstanceRefused")
    assert f"exceeded quota: few, requested: {instances}=1" in node.condition("vm", "one", "Failure")["message"]
    node.patch("resourcequota", "few", {"spec": {"hard": {claims: "1", instances: "1"}}})
    node.wait_printable("one", "Running")


def test_attack_a_disk_grows_beyond_no_quota_and_one_that_a_quota_refuses_takes_no_room(node: NodeWorld) -> None:
    """Quotas count what claims ask for, and a claim asked for what its disk had at first."""
    told, storage = os.statvfs(node.installation.state), "requests.storage"
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "room"}}
    node.apply({**quota, "spec": {"hard": {storage: "100Mi"}}}, a_volume("one"))
    node.eventually(lambda: node.status("pvc", "one").get("phase") == "Bound")
    node.eventually(lambda: node.status("resourcequota", "room").get("used") == {storage: str(64 * MIB)})
    node.apply(a_volume("one", size="128Mi"))
    node.eventually(lambda: node.condition("dv", "one", "Ready").get("reason") == "ClaimRefused")
    assert "exceeded quota: room" in node.condition("dv", "one", "Ready")["message"]
    assert node.status("pvc", "one")["capacity"]["storage"] == "64Mi"
    assert node.status("dv", "one")["claimName"] == "one", "it has its disk, so its source stays"
    with pytest.raises(AssertionError, match="is what the disk was made from, and stays"):
        node.apply(a_volume("one", size="128Mi", source="other"))
    # Each of these would have more than half of what all disks may grow to.
    most = str(int(told.f_blocks * told.f_frsize * DISK_OVERCOMMIT * 0.6))
    for name in ("two", "three"):
        node.apply(a_volume(name, size=most))
        ready = node.eventually(lambda name=name: node.condition("dv", name, "Ready"))
        assert ready["reason"] == "ClaimRefused", ready
    # What refuses it may be something else: a disk that grew all the same was counted by no quota.
    limit = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "large"}}
    node.apply({**limit, "spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "100Mi"}}]}})
    node.patch("resourcequota", "room", {"spec": {"hard": {storage: "128Mi"}}})
    is_refused = "maximum storage usage per PersistentVolumeClaim is 100Mi"
    node.eventually(lambda: is_refused in node.condition("dv", "one", "Ready").get("message", ""))
    assert not node.get("pvc", "one")["spec"].get("storageClassName"), "nor does a claim without a class grow so"
    assert node.status("pvc", "one")["capacity"]["storage"] == "64Mi"
    node.delete("limitrange", "large")
    node.eventually(lambda: node.status("pvc", "one").get("capacity", {}).get("storage") == "128Mi")
    node.eventually(lambda: node.status("resourcequota", "room").get("used") == {storage: str(128 * MIB)})
