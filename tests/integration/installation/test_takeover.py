"""`vs up` takes over an installation that the version before this one made, as a power cut left it.

``recorded/`` is what commit c6f8125 wrote: the state folder's small files, and the objects as kubectl showed them
(``--show-managed-fields``), of two running servers, one with a published port and one with an address on its own card.
Changed are the root's name, the boot's and the node's; ``image`` is the digest of the image that both disks lay over.
`restore` makes an installation of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from e2e.machine import a_machine
from harness import audit_log
from integration.installation import restore
from virtualserver.installation.installation import Installation
from virtualserver.installation.migrations import STATE_VERSION
from virtualserver.machines.hypervisor import Hypervisor
from virtualserver.machines.machine import Ended

if TYPE_CHECKING:
    from collections.abc import Generator

    from e2e.machine import Machine
    from e2e.product import Product

pytestmark = pytest.mark.timeout(600)

SERVERS = ("attached", "web")
INSTANCE = "VirtualMachineInstance"
KEPT = ("labels", "annotations", "ownerReferences", "finalizers", "uid", "generation")
"""What of an object's metadata is as it was."""

NOT_KEPT = {
    ("PersistentVolumeClaim", "annotations"),  # they name the image's digest, which is another here
    ("Secret", "annotations"),  # what the guest was told at its first start is written down there
    # Its template says where the guest is told its network, which it was not before: at its next start.
    ("VirtualMachine", "annotations"),
    ("VirtualMachine", "generation"),
    # A Service without a ready guest has no slice, and none is ready until it has booted.
    ("EndpointSlice", "uid"),
    ("EndpointSlice", "generation"),
}

TOLD = {("Secret", "data"), ("VirtualMachine", "spec")}
"""Parts in which the guest is told its network."""

_SAYS = """
import socket, sys
with socket.create_connection((sys.argv[1], 22), timeout=5) as connection:
    print(connection.recv(100).decode())
"""


class Takeover:
    """The installation before and after `vs up`.

    Attributes:
        machine: The machine on which it runs alone.
        product: Its commands.
        installation: Its folders.
        keys: Digests of its keys before the start.
        began: When the start began, as the audit log writes times.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.product: Product = machine.product(restore.NAME)
        self.installation = Installation.below(machine.folder, restore.NAME)
        tests = Path(__file__).parents[2]
        path = os.pathsep.join([str(tests), str(tests.parent / "src")])
        machine.run("env", f"PYTHONPATH={path}", sys.executable, restore.__file__, str(machine.folder), timeout=200)
        self.keys = keys(self.installation)
        self.began = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        self.product.vs("up", "--no-hello")
        for name in SERVERS:
            self.product.wait_ready(name, seconds=200)

    def allocations(self) -> set[tuple[str, ...]]:
        """Return what the node has recorded now."""
        database = sqlite3.connect(f"file:{self.installation.allocations}?mode=ro", uri=True)
        try:
            return set(database.execute("SELECT owner, purpose, kind, value FROM claims"))
        finally:
            database.close()

    def now(self, recorded: dict[str, Any]) -> dict[str, Any]:
        """Return a recorded object as it is now."""
        metadata, (group, slash, _) = recorded["metadata"], recorded["apiVersion"].partition("/")
        kind = f"{recorded['kind']}.{group}" if slash else recorded["kind"]
        return self.product.get(kind, metadata["name"], namespace=metadata["namespace"])

    def writes(self, since: str) -> list[str]:
        """Return what the operator and the node have written to the API since a time, but for Events and Leases."""
        found: list[str] = []
        for event in audit_log.entries(self.installation.audit):
            about = event.get("objectRef", {}).get("resource")
            is_ours = event["user"]["username"] in ("virtualserver:node", "virtualserver:operator")
            is_write = event["verb"] not in ("get", "list", "watch") and about not in ("events", "leases")
            if is_ours and is_write and event["requestReceivedTimestamp"] >= since:
                found.append(f"{event['verb']} {event['requestURI'].partition('?')[0]}")
        return found


def keys(installation: Installation) -> dict[str, str]:
    """Return a digest of every key, certificate and kubeconfig, by its path."""
    files = [installation.kubeconfig]
    for folder in (installation.pki, installation.kubeconfigs):
        files += [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(installation.state)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def recorded_machines(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the specification of every machine by its name."""
    found = [json.loads(path.read_bytes())["spec"] for path in folder.glob("*/spec.json")]
    return {spec["name"]: spec for spec in found}


@pytest.fixture(scope="module")
def taken_over() -> Generator[Takeover]:
    with a_machine(f"vst{os.getpid()}") as machine:
        try:
            yield Takeover(machine)
        finally:
            machine.product(restore.NAME).attempt("down", "--purge", "--yes")


def test_the_description_of_every_machine_is_read(tmp_path: Path) -> None:
    shutil.copytree(restore.RECORDED / "machines", tmp_path / "machines")
    hypervisor = Hypervisor(machines=tmp_path / "machines", run=tmp_path / "run", installation=restore.NAME)

    async def adopted() -> dict[str, bool]:
        found = await hypervisor.adopt()
        await hypervisor.close()
        return {machine.spec.name: isinstance(machine.state, Ended) for machine in found.values()}

    assert asyncio.run(adopted()) == {f"default/{name}": True for name in SERVERS}


def test_the_servers_answer_on_the_addresses_that_they_had(taken_over: Takeover) -> None:
    recorded = [one for one in restore.objects() if one["kind"] == "VirtualServer"]
    assert len(recorded) == len(SERVERS)
    for server in recorded:
        network = server["status"]["network"]
        assert taken_over.now(server)["status"]["network"] == network
        assert taken_over.machine.run(sys.executable, "-c", _SAYS, network.get("externalIP") or network["internalIP"])


def test_every_address_mac_tap_and_user_is_the_recorded_one(taken_over: Takeover) -> None:
    database = sqlite3.connect(":memory:")
    database.executescript((restore.RECORDED / "claims.sql").read_text())
    recorded = set(database.execute("SELECT owner, purpose, kind, value FROM claims"))
    (attached,) = {row for row in recorded if row[1].startswith("load-balancer/") and is_attached(row[3])}
    new = {row for row in taken_over.allocations() if row not in recorded}
    assert recorded <= taken_over.allocations()
    owner = attached[0].partition("/")[2]
    assert new == {(owner, "attached/4", "attached", attached[3])}, "whose NIC has an address, is recorded now"
    before, after = (
        recorded_machines(restore.RECORDED / "machines"),
        recorded_machines(taken_over.installation.machines),
    )
    assert set(after) == {f"default/{name}" for name in SERVERS}
    for name, spec in before.items():
        nics = [{"mtu": None, **nic} for nic in spec["nics"]]  # a NIC that says nothing of an MTU has the link's
        assert (after[name]["nics"], after[name]["user"]) == (nics, spec["user"])


def is_attached(address: str) -> bool:
    """Return whether an address was the own one of a recorded machine's card."""
    shown = [one.get("status", {}).get("interfaces", []) for one in restore.objects() if one["kind"] == INSTANCE]
    return any(interface["ipAddress"] == address for interfaces in shown for interface in interfaces)


def test_the_macs_that_followed_from_names_alone_are_kept_beside_the_new_key(taken_over: Takeover) -> None:
    key = json.loads(taken_over.installation.mac_key.read_bytes())
    assert set(key["recorded"].values()) == {row[3] for row in taken_over.allocations() if row[2] == "mac"}
    assert len(bytes.fromhex(key["key"])) == 32
    copy = taken_over.installation.operator_mac_key
    assert (copy.stat().st_mode & 0o777, copy.read_bytes()) == (0o600, taken_over.installation.mac_key.read_bytes())


def test_what_was_chosen_once_stays(taken_over: Takeover) -> None:
    recorded = json.loads((restore.RECORDED / "instance.json").read_bytes())
    now = json.loads(taken_over.installation.record_file.read_bytes())
    assert now["ports"].pop("console"), "a component that there was not"
    for key in ("identifier", "ports", "uids"):
        assert now[key] == recorded[key]
    for key in ("public", "private", "guest", "service"):
        assert now["ranges"][key] == recorded["ranges"][key]
    assert now["ranges"]["link"] == [recorded["ranges"]["link"]]  # as version 2 writes it
    assert (taken_over.installation.state / "VERSION").read_text() == f"{STATE_VERSION}\n"
    assert not taken_over.installation.site_file.exists(), "it is the administrator's from version 3 on"
    assert {"name": "public"} in yaml.safe_load(taken_over.installation.effective_site.read_text())["pools"]


def test_no_object_is_written_but_for_its_status_and_what_a_guest_is_told_of_its_network(taken_over: Takeover) -> None:
    for recorded in restore.objects():
        now = taken_over.now(recorded)
        what = f"{recorded['kind']} {recorded['metadata']['name']}"
        for part in KEPT:
            if (recorded["kind"], part) in NOT_KEPT:
                continue
            assert now["metadata"].get(part) == recorded["metadata"].get(part), f"{what}: {part}"
        for part in ("spec", "data", "ports", "endpoints"):
            if (recorded["kind"], part) in TOLD:
                assert untold(now.get(part)) != now.get(part), f"{what}: the network is told"
                now[part] = untold(now.get(part))
            assert as_recorded(now.get(part)) == as_recorded(recorded.get(part)), f"{what}: {part}"


def untold(value: Any) -> Any:
    """Return a part of an object without what the guest is told of its network."""
    text = json.dumps(value)

    def without(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {key: one for key, one in pairs if not key.lower().startswith("networkdata")}

    return json.loads(text, object_pairs_hook=without)


def as_recorded(value: Any) -> str:
    """Return a part of an object as text in which the node has the name that was recorded."""
    return json.dumps(value, sort_keys=True).replace(f'"nodeName": "{restore.node_name()}"', '"nodeName": "HOST"')


def test_few_writes_lead_there_and_none_follows(taken_over: Takeover) -> None:
    writes = taken_over.writes(taken_over.began)
    specs = [line for line in writes if "/default/" in line and not {"status", "endpointslices"} & {*line.split("/")}]
    # What the guest is told of its network, and at the Secret besides what it was told at its first start, once:
    # versions before did not.
    told = {f"{name}-cloud-init" for name in SERVERS} | set(SERVERS)
    assert {line.rpartition("/")[2] for line in specs} == told, "\n".join(specs)
    assert {line.split("/")[-2] for line in specs} == {"secrets", "virtualmachines"}, "\n".join(specs)
    assert len(specs) == len(told), "\n".join(specs)
    assert len(writes) < 80, "\n".join(writes)
    time.sleep(2)
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    time.sleep(4)
    assert taken_over.writes(since) == []


def test_every_key_is_kept(taken_over: Takeover) -> None:
    assert keys(taken_over.installation) == taken_over.keys
    assert "pki/kube-apiserver/encryption.json" in taken_over.keys
    taken_over.product.vs("up", "--no-hello")
    assert keys(taken_over.installation) == taken_over.keys
