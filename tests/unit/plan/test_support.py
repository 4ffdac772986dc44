"""What the table of a VirtualServer's fields says is so: each is changed on a server that runs (fault 25)."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from harness import virtualservers
from harness.situations import merged
from virtualserver.api import names
from virtualserver.api.conditions import Condition, ConditionType
from virtualserver.api.reasons import Reason
from virtualserver.api.support.data_volume import DATA_VOLUME, served_classes
from virtualserver.api.support.field import Effect, field_of, obstacles, without_effect
from virtualserver.api.support.virtual_machine import VIRTUAL_MACHINE
from virtualserver.api.support.virtual_server import STORAGE_CLASS, VIRTUAL_SERVER, written
from virtualserver.api.virtualserver import decode
from virtualserver.plan import planning
from virtualserver.plan.children import Children
from virtualserver.plan.sites.site import Site
from virtualserver.plan.situation import Surroundings

if TYPE_CHECKING:
    from virtualserver.plan.outcome import Plan

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIvHPWvnG3cPrUNsyuGAaRxlrM4w1nwFC33DB7KEfMBp one@example"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEPqQ2vWuh2TwvUuBUuHPNJDuGBsYrDoDGTXaQXrFhn two@example"
UUID = "5d307ca9-b3ef-428c-8861-06e72d69f223"
ADA: dict[str, Any] = {"username": "ada", "sshpublickey": KEY, "password": "one"}
SPEC: dict[str, Any] = {
    "users": [ADA],
    "cloudInit": "packages: [nginx]",
    "network": {"tcp": {"ports": [22]}},
    "readinessProbe": {"tcpSocket": {"port": 22}},
    "livenessProbe": {"tcpSocket": {"port": 22}},
    "initializeRunning": True,
}
SITE = Site(pools=frozenset({"public", "private", "public-ord1"}))


def _network(**fields: Any) -> dict[str, Any]:
    return {"network": fields}


def _root(**fields: Any) -> dict[str, Any]:
    return {"storage": {"root": fields}}


def _user(**fields: Any) -> dict[str, Any]:
    return {"users": [{**ADA, **fields}]}


def _source(kind: str) -> dict[str, Any]:
    return _root(source={"pvc": None, kind: {}})


_PROBE: dict[str, dict[str, Any]] = {
    "": {"tcpSocket": {"port": 80}},
    ".failureThreshold": {"failureThreshold": 9},
    ".initialDelaySeconds": {"initialDelaySeconds": 9},
    ".periodSeconds": {"periodSeconds": 9},
    ".successThreshold": {"successThreshold": 9},
    ".timeoutSeconds": {"timeoutSeconds": 9},
    ".exec": {"tcpSocket": None, "exec": {"command": ["true"]}},
    ".guestAgentPing": {"tcpSocket": None, "guestAgentPing": {}},
    ".httpGet": {"tcpSocket": None, "httpGet": {"port": 80}},
    ".tcpSocket": {"tcpSocket": {"port": 80}},
}

CHANGES: dict[str, dict[str, Any]] = {
    "spec.region": {"region": "ORD1"},
    "spec.affinity": {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}},
    "spec.os.definition": {"os": {"definition": "b"}},
    "spec.os.enableUEFIBoot": {"os": {"enableUEFIBoot": True}},
    "spec.resources.definition": {"resources": {"definition": "b"}},
    "spec.resources.cpu.count": {"resources": {"cpu": {"count": 4}}},
    "spec.resources.cpu.type": {"resources": {"cpu": {"type": "amd-epyc-rome"}}},
    "spec.resources.gpu": {"resources": {"gpu": {"count": 1}}},
    "spec.resources.memory": {"resources": {"memory": "1Gi"}},
    "spec.storage.root.size": _root(size="8Gi"),
    "spec.storage.root.source.pvc": _root(source={"pvc": {"name": "other"}}),
    **{
        f"spec.storage.root.source.{kind}": _source(kind)
        for kind in ("blank", "http", "imageio", "registry", "s3", "upload", "vddk")
    },
    "spec.storage.root.storageClassName": _root(storageClassName="block-nvme-ord1"),
    "spec.storage.root.volumeMode": _root(volumeMode="Filesystem"),
    "spec.storage.root.accessMode": _root(accessMode="ReadWriteMany"),
    "spec.storage.root.ephemeral": _root(ephemeral=True),
    "spec.storage.root.serial": _root(serial="disk-1"),
    "spec.storage.additionalDisks": {"storage": {"additionalDisks": [{"name": "a", "spec": {"emptyDisk": {}}}]}},
    "spec.storage.filesystems": {"storage": {"filesystems": [{"name": "a", "spec": {"emptyDisk": {}}}]}},
    "spec.storage.swap": {"storage": {"swap": "1Gi"}},
    "spec.users[].username": _user(username="bob"),
    "spec.users[].password": _user(password="two"),
    "spec.users[].sshpublickey": _user(sshpublickey=OTHER),
    "spec.users[].passwordSecretRef": _user(password=None, passwordSecretRef={"name": "secret"}),
    "spec.users[].sshPublicKeysSecretRef": _user(sshpublickey=None, sshPublicKeysSecretRef={"name": "secret"}),
    "spec.network.public": _network(public=False),
    "spec.network.directAttachLoadBalancerIP": _network(directAttachLoadBalancerIP=True, tcp=None),
    "spec.network.tcp.ports": _network(tcp={"ports": [22, 80]}),
    "spec.network.udp.ports": _network(udp={"ports": [53]}),
    "spec.network.floatingIPs": _network(floatingIPs=["203.0.113.9"]),
    "spec.network.macAddress": _network(macAddress="a2:1f:ee:09:06:5d"),
    "spec.network.dnsPolicy": _network(dnsPolicy="Default"),
    "spec.network.dnsConfig": _network(dnsConfig={"nameservers": ["192.0.2.53"]}),
    "spec.network.dnsConfig.nameservers": _network(dnsConfig={"nameservers": ["192.0.2.53"]}),
    "spec.network.dnsConfig.searches": _network(dnsConfig={"searches": ["example.com"]}),
    "spec.network.dnsConfig.options": _network(dnsConfig={"options": [{"name": "ndots", "value": "2"}]}),
    "spec.network.headless": _network(headless=True),
    "spec.network.vpcs": _network(vpcs=[{"name": "blue"}]),
    "spec.network.disableK8sNetworking": {
        **_network(disableK8sNetworking=True, tcp=None),
        **{"livenessProbe": None, "readinessProbe": None},
    },
    "spec.cloudInit": {"cloudInit": "packages: [apache2]"},
    "spec.cloudInitSecretRef": {"cloudInit": None, "cloudInitSecretRef": {"name": "secret"}},
    "spec.runStrategy": {"runStrategy": "Always"},
    "spec.firmware": {"firmware": {"uuid": UUID, "serial": UUID}},
    "spec.useVirtioTransitional": {"useVirtioTransitional": True},
    "spec.terminationGracePeriodSeconds": {"terminationGracePeriodSeconds": 5},
    **{
        f"spec.{probe}{field}": {probe: change}
        for probe in ("livenessProbe", "readinessProbe")
        for field, change in _PROBE.items()
    },
}
"""A change of each field, as a merge patch on the server's ``spec``."""

ELSEWHERE = {
    # Labels and annotations have tests of their own (test_labels.py, sites/test_annotations.py).
    "metadata.labels",
    "metadata.annotations",
    # It chooses among what is below it.
    "spec.storage.root.source",
    # What it decides on has fields, or a first start, of its own.
    "spec.os.type",
    # It says when a server starts (objects/test_run_strategy.py).
    "spec.initializeRunning",
}


def plan_of(change: dict[str, Any], found: list[dict[str, Any]]) -> Plan:
    """Plan the server with a change; the Secret ``secret`` has whatever it may be asked for."""
    manifest = merged(merged(virtualservers.a_manifest(), {"spec": SPEC}), {"spec": change})
    manifest["metadata"] |= {"uid": virtualservers.UID, "generation": 1}
    secret = virtualservers.a_secret("secret", password="two", authorized_keys=OTHER, userdata="packages: [b]")
    surroundings = Surroundings(
        source=virtualservers.an_image(), secrets={"secret": secret}, vpc_macs={"blue": "a2:00:00:00:00:01"}
    )
    return planning.plan(decode(manifest), Children.of(found), surroundings, SITE)


def objects_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return what is applied, by kind and name, as it is sent."""
    return {
        "/".join(apply.key): json.loads(json.dumps(merged(apply.manifest, apply.locked)))
        for stage in plan.stages
        for apply in stage
    }


@pytest.fixture(scope="module")
def running() -> list[dict[str, Any]]:
    """What exists of a server that was made of `SPEC` and runs."""
    made = copy.deepcopy(objects_of(plan_of({}, [])))
    template = made["VirtualMachine/web"]["spec"]["template"]
    machine = virtualservers.a_machine()
    machine["spec"]["template"] = template
    service = virtualservers.a_service("web-tcp", address="203.0.113.7")
    secret = made["Secret/web-cloud-init"]
    secret["metadata"]["uid"] = "uid-of-secret"
    before = [machine, service, secret, virtualservers.a_disk(), virtualservers.an_instance(template)]
    # The next pass keeps what the guest was told.
    secret = objects_of(plan_of({}, before))["Secret/web-cloud-init"]
    assert names.FIRST_START in secret["metadata"]["annotations"]
    claim = virtualservers.an_image("web")
    claim["metadata"] |= {"namespace": "default", "annotations": {}}
    owner = {"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "name": "web", "uid": "uid-of-disk"}
    claim["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    claim["status"] = {"capacity": {"storage": "4Gi"}}
    return [machine, service, {**secret, "metadata": {**secret["metadata"], "uid": "s"}}, *before[3:], claim]


def applied(plan: Plan) -> Condition:
    found = plan.status.condition(ConditionType.FULLY_APPLIED)
    assert found
    return found


def test_nothing_is_said_of_a_server_that_has_all_it_asks_for(running: list[dict[str, Any]]) -> None:
    assert applied(plan_of({}, running)).reason == Reason.FULLY_APPLIED


def test_every_field_has_its_change() -> None:
    assert {field.path for field in VIRTUAL_SERVER} == {*CHANGES, *ELSEWHERE}


@pytest.mark.parametrize("path", CHANGES)
def test_what_becomes_of_a_field_is_what_the_table_says(path: str, running: list[dict[str, Any]]) -> None:
    field = field_of(VIRTUAL_SERVER, path)
    assert field and field.path == path
    plan = plan_of(CHANGES[path], running)
    told = applied(plan)
    name = path.replace("[]", "[0]")
    if field.effect is Effect.NOW:
        assert told.reason in (Reason.FULLY_APPLIED, Reason.WAITING_FOR_ADDRESS), told
        assert _without_template(objects_of(plan)) != _without_template(objects_of(plan_of({}, running)))
        return
    assert any(one in told.message for one in (name, *_above(name))), told.message
    reasons = {
        Effect.NEXT_START: {Reason.RESTART_REQUIRED, Reason.ROOT_DISK_RESIZE_IN_PROGRESS},
        Effect.NEW_MACHINE: {Reason.FIRST_START_ONLY, Reason.PARTLY_APPLIED},
        Effect.NAMED: {Reason.PARTLY_APPLIED},
        Effect.OBSTACLE: {Reason.NOT_SUPPORTED_YET},
    }
    assert told.reason in reasons[field.effect], told


@pytest.mark.parametrize("path", CHANGES)
def test_what_is_carried_out_has_an_effect_on_the_machine_too(path: str) -> None:
    """What a server's field becomes of its machine and its disk must not be lost there."""
    objects = objects_of(plan_of(CHANGES[path], []))
    for kind, table in (("VirtualMachine", VIRTUAL_MACHINE), ("DataVolume", DATA_VOLUME)):
        planned = objects.get(f"{kind}/web", {"spec": {}})
        assert not obstacles(table, planned)
        lost = without_effect(table, planned, served=served_classes(SITE.storage_classes))
        field = field_of(VIRTUAL_SERVER, path)
        # cloud-init carries the options; of the disk's fields that are named, the server names the same.
        assert lost == [] or path.endswith(".options") or (field and field.effect is Effect.NAMED), lost


def _above(path: str) -> list[str]:
    """Return the fields right above one: a change may be told of the whole."""
    parent, _, name = path.rpartition(".")
    near = ("firmware", "pvc", "dnsConfig", "livenessProbe", "readinessProbe", "users[0]")
    return [f"{parent}:", f"{parent},"] if parent.rpartition(".")[2] in (*near, "source") and name else []


def _without_template(objects: dict[str, Any]) -> Any:
    """Return objects without what only the machine's next start reads, and without what only notes an intent."""
    kept = copy.deepcopy(objects)
    kept.get("VirtualMachine/web", {"spec": {}})["spec"].pop("template", None)
    return kept


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_network(disableK8sNetworking=True, tcp=None, macAddress="a2:1f:ee:09:06:5d"), "spec.network.macAddress"),
        (_network(disableK8sNetworking=True, tcp=None, dnsPolicy="Default"), "spec.network.dnsPolicy"),
        (
            _network(disableK8sNetworking=True, tcp=None, dnsConfig={"searches": ["example.com"]}),
            "spec.network.dnsConfig",
        ),
        (_network(disableK8sNetworking=True, tcp=None), "spec.readinessProbe"),
        (
            {"os": {"type": "windows"}, **_network(dnsConfig={"options": [{"name": "edns0"}]})},
            "spec.network.dnsConfig.options",
        ),
        (_network(dnsConfig={"nameservers": ["2001:db8::53"]}), "IPv6 addresses in spec.network.dnsConfig.nameservers"),
        ({"livenessProbe": {"tcpSocket": {"host": "192.0.2.1"}}}, "spec.livenessProbe.tcpSocket.host"),
        (
            {"readinessProbe": {"tcpSocket": None, "httpGet": {"port": 80, "host": "example.com"}}},
            "the address in spec.readinessProbe.httpGet.host",
        ),
        ({"readinessProbe": {"httpGet": {"port": 80}}}, "spec.readinessProbe.tcpSocket"),
        ({"livenessProbe": {"tcpSocket": None, "periodSeconds": 3}}, "spec.livenessProbe"),
        (_root(serial="ä" * 11), "what follows the first 20 bytes of spec.storage.root.serial"),
    ],
)
def test_what_of_a_field_has_no_effect_is_named(
    change: dict[str, Any], words: str, running: list[dict[str, Any]]
) -> None:
    told = applied(plan_of(change, running)).message
    listed = next((part for part in told.split("; ") if part.endswith(": no effect here")), told)
    assert words in listed.removesuffix(": no effect here").split(", "), told


@pytest.mark.parametrize(("word", "is_named"), [("yes", True), ("True", True), ("true", False), ("false", False)])
def test_a_wish_to_keep_the_disk_that_is_no_such_wish_is_named(word: str, is_named: bool) -> None:
    """Or the disk would be gone with the server, of which the user thought otherwise."""
    manifest = virtualservers.a_manifest()
    manifest["metadata"]["annotations"] = {names.KEEP_DISK: word}
    told = without_effect(VIRTUAL_SERVER, written(decode(manifest)), served={STORAGE_CLASS: SITE.storage_classes})
    assert told == ([f"metadata.annotations[{names.KEEP_DISK}]"] if is_named else [])


def test_a_region_without_a_pool_is_named_whether_or_not_an_address_is_asked_for(running: list[dict[str, Any]]) -> None:
    for network in ({}, {"tcp": None, "public": False}):
        told = applied(plan_of({"region": "LAS1", "network": network}, running))
        assert told.reason == Reason.PARTLY_APPLIED and "spec.region: LAS1 has no address pool here" in told.message


def test_fault_51_a_server_that_asks_for_its_start_and_is_stopped_is_told_what_starts_it() -> None:
    machine = virtualservers.a_machine("Stopped", strategy="Halted")
    found = [machine, virtualservers.a_disk()]
    told = applied(plan_of({}, found))
    assert told.reason == Reason.PARTLY_APPLIED
    assert "spec.initializeRunning: the machine was stopped since" in told.message and "start web" in told.message
    assert "initializeRunning" not in applied(plan_of({"initializeRunning": None}, found)).message
    assert "initializeRunning" not in applied(plan_of({"runStrategy": "Halted"}, found)).message
    assert "initializeRunning" not in applied(plan_of({}, [])).message


def test_a_server_that_a_user_stopped_after_it_ran_is_told_nothing_of_initialize_running(
    running: list[dict[str, Any]],
) -> None:
    machine = virtualservers.a_machine("Stopped", strategy="Halted")
    machine["spec"]["template"] = running[0]["spec"]["template"]
    found = [machine, *(one for one in running[1:] if one["kind"] != "VirtualMachineInstance")]
    assert applied(plan_of({}, found)).reason == Reason.FULLY_APPLIED


@pytest.mark.parametrize("type_", [names.RESOLVER_CUT, names.NETWORK_DIFFERS])
def test_what_a_running_guest_has_less_of_than_the_manifest_says_is_named(
    type_: str, running: list[dict[str, Any]]
) -> None:
    found = copy.deepcopy(running)
    instance = next(one for one in found if one["kind"] == "VirtualMachineInstance")
    instance["status"]["conditions"].append({"type": type_, "status": "True", "message": "less than asked for"})
    told = applied(plan_of({}, found))
    assert (told.reason, told.message) == (Reason.PARTLY_APPLIED, "less than asked for")
