"""Puts the recorded installation into a folder, as a power cut left it: ``python restore.py ROOT``.

The objects go into etcd itself, since the API would give them other UIDs. Everything that is secret is made anew: the
API server's keys, etcd's encryption key and the kubeconfigs are those of a first start.
"""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import yaml

from harness import control_plane as plane
from harness.guest import image as guest_image
from virtualserver import controlplane
from virtualserver.controlplane.rest import Rest
from virtualserver.installation import ranges
from virtualserver.installation.installation import Installation
from virtualserver.node.nodeobject import node_name
from virtualserver.storage.disks import DiskStore
from virtualserver.storage.images import ImageStore

RECORDED = Path(__file__).with_name("recorded")
NAME = "takeover"
GENERATED_SITE = """# Written at each start, from what instance.json records.
pools:
- name: private
- name: public
imageNamespace: vd-images
storageClasses:
- local
"""
"""What version 2 wrote at each start."""
ROOT = "/var/lib/virtualserver"
"""The root that is written in the recorded files."""

PLACES = {
    "VirtualServer": "virtualservers.coreweave.com/virtualservers",
    "VirtualMachine": "kubevirt.io/virtualmachines",
    "VirtualMachineInstance": "kubevirt.io/virtualmachineinstances",
    "DataVolume": "cdi.kubevirt.io/datavolumes",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Secret": "secrets",
    "Service": "services/specs",
    "EndpointSlice": "endpointslices",
}
"""Where etcd has the objects of a kind, below ``/registry``."""


def objects(text: str = "") -> list[dict[str, Any]]:
    """Return the recorded objects, or those of another text."""
    return list(yaml.safe_load_all(text or (RECORDED / "objects.yaml").read_text()))


def _image(installation: Installation) -> tuple[str, Path]:
    """Put the tests' image into the store, and return its digest and its disk."""
    built = guest_image.build()
    assert built.kernel is not None
    image = ImageStore(installation.images).add(
        disk=built.disk, kernel=built.kernel, initrd=built.initrd, command_line=built.command_line, name="tiny"
    )
    return image.digest, image.disk


def _allocations(installation: Installation) -> None:
    database = sqlite3.connect(installation.allocations)
    database.executescript((RECORDED / "claims.sql").read_text())
    database.close()


def _disks(installation: Installation, base: Path, found: list[dict[str, Any]]) -> None:
    users = dict(
        sqlite3.connect(installation.allocations).execute("SELECT owner, value FROM claims WHERE kind = 'user'")
    )
    store = DiskStore(installation.disks)
    for volume in found:
        if volume["kind"] == "DataVolume":
            owner = volume["metadata"]["ownerReferences"][0]["uid"]
            store.create(volume["metadata"]["uid"], base=base, size_bytes=128 << 20, user=int(users[owner]))


def _put(installation: Installation, found: list[dict[str, Any]]) -> None:
    record = installation.record()
    assert record.ranges
    options = controlplane.Options(
        service_ranges=ranges.decode(record.ranges).service, components=plane.ONLY_UPSTREAM.components
    )
    controlplane.start(installation, plane.programs(), options=options)
    etcd = Rest(
        f"https://127.0.0.1:{record.ports['etcd']}",
        authority=installation.pki / "etcd-ca.crt",
        client=installation.pki / "clients/etcd",
    )
    for one in found:
        metadata = one["metadata"]
        key = f"/registry/{PLACES[one['kind']]}/{metadata['namespace']}/{metadata['name']}"
        pair = {"key": key.encode(), "value": json.dumps(one).encode()}
        etcd.call("POST", "/v3/kv/put", {name: base64.b64encode(value).decode() for name, value in pair.items()})
    etcd.close()
    controlplane.stop(installation)


def restore(root: Path) -> None:
    """Put the recorded installation into a folder."""
    installation = Installation.below(root, NAME)
    installation.create()
    for name in ("VERSION", "instance.json"):
        shutil.copy(RECORDED / name, installation.state)
    digest, disk = _image(installation)

    def as_here(text: str) -> str:
        recorded = (RECORDED / "image").read_text().strip()
        return text.replace(ROOT, str(root)).replace(recorded, digest.removeprefix("sha256:"))

    _allocations(installation)
    found = objects(
        as_here((RECORDED / "objects.yaml").read_text()).replace("nodeName: HOST", f"nodeName: {node_name()}")
    )
    _disks(installation, disk, found)
    for path in (RECORDED / "machines").rglob("*"):
        if path.is_file():
            target = installation.machines / path.relative_to(RECORDED / "machines")
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_text(as_here(path.read_text()))
    installation.create()
    _put(installation, found)
    for name in ("VERSION", "instance.json"):  # without what this start has recorded
        shutil.copy(RECORDED / name, installation.state)
    installation.effective_site.unlink()
    installation.site_file.write_text(GENERATED_SITE)


if __name__ == "__main__":
    restore(Path(sys.argv[1]))
