"""What a tenant gets who writes that its objects are another's: nothing of the other's, and its own machine runs.

Machines here have no disk, so that a start is a matter of a second.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.manifests import a_virtual_server
from harness.node_world import a_service, an_empty_machine
from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.objects import controller_reference
from virtualserver.plan.ownership import SERVICE_NAME, VIRTUAL_SERVER, claim_name

if TYPE_CHECKING:
    from collections.abc import Generator

    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)


@contextlib.contextmanager
def another_namespace(node: NodeWorld) -> Generator[str]:
    """Yield a namespace of another tenant; the test's own is back afterwards."""
    own, node.namespace = node.namespace, f"other-{uuid.uuid4().hex[:6]}"
    node.api.kubectl("create", "namespace", node.namespace)
    try:
        yield node.namespace
    finally:
        other, node.namespace = node.namespace, own
        node.api.kubectl("-n", other, "delete", "vm,vmi,service,vs", "--all")
        node.api.kubectl("delete", "namespace", other, "--wait=false")


def a_server(node: NodeWorld, name: str = "web") -> dict[str, Any]:
    """Make a VirtualServer, which nobody carries out, and return the reference that makes its children its own."""
    node.apply(a_virtual_server(name=name, namespace=node.namespace))
    return controller_reference(VIRTUAL_SERVER, node.get("vs", name))


def started(node: NodeWorld, name: str, namespace: str) -> dict[str, Any]:
    """Return the NIC's address and MAC and the user of a machine's QEMU, once it runs."""

    def interface() -> dict[str, Any]:
        vmi = node.get("vmi", name, namespace=namespace)
        is_running = fields.status_of(vmi).get("phase") == "Running"
        return next((dict(one) for one in fields.items(vmi, "status", "interfaces") if is_running), dict[str, Any]())

    nic = node.eventually(interface, what=lambda: f"{namespace}/{name} runs: {node.log[-1500:]}")
    return {"address": nic["ipAddress"], "mac": nic["mac"], "user": user_of(node, f"{namespace}/{name}")}


def user_of(node: NodeWorld, guest: str) -> int:
    (user,) = processes_of(node, guest)
    return user


def processes_of(node: NodeWorld, guest: str) -> list[int]:
    """Return the users of the QEMU processes of a guest."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            arguments = path.read_text().split("\0")
            is_ours = any(str(node.installation.root) in argument for argument in arguments)
            if is_ours and f"guest={guest},debug-threads=on" in arguments:
                found.append(path.parent.stat().st_uid)
    return found


def test_fault_1_who_claims_another_namespaces_server_as_owner_gets_nothing_of_it(node: NodeWorld) -> None:
    owner = a_server(node)
    victim = node.namespace
    with another_namespace(node) as thief:
        stolen = {**owner, "apiVersion": "example.test/v1"}  # that nobody can look up, so it is not collected either
        machine = an_empty_machine("web", owner=stolen)
        machine["metadata"]["labels"] = {names.UID: owner["uid"], names.NAME: "web"}
        instance = an_empty_machine("bare")["spec"]["template"]
        node.apply(
            machine,
            {
                "apiVersion": kinds.VIRTUAL_MACHINE_INSTANCE.api_version,
                "kind": kinds.VIRTUAL_MACHINE_INSTANCE.kind,
                "metadata": {**instance["metadata"], "name": "bare", "ownerReferences": [stolen]},
                "spec": instance["spec"],
            },
        )
        taken = [started(node, name, thief) for name in ("web", "bare")]
        node.one_owner()
        node.namespace = victim
        node.apply(an_empty_machine("web", owner=owner))
        own = started(node, "web", victim)
        node.namespace = thief
        for what, value in own.items():
            assert value not in [other[what] for other in taken], f"its {what} is its own"
        recorded = node.allocations(owner["uid"])
        assert (recorded["guest/4"], recorded["mac"], recorded["user"]) == (
            own["address"],
            own["mac"],
            str(own["user"]),
        )
        for kind, name in (("vm", "web"), ("vmi", "bare")):
            uid = node.get(kind, name)["metadata"]["uid"]
            assert node.allocations(uid)["guest/4"] in [other["address"] for other in taken]
        node.one_owner()


def test_fault_2_an_address_goes_to_one_nic_and_the_second_is_told_why_not(node: NodeWorld) -> None:
    shared = {names.METALLB_ALLOW_SHARED_IP: "key"}
    service = a_service("web-tcp", annotations=shared, ports=(("TCP", 1),))
    copy = a_service("copy", annotations=shared, ports=(("TCP", 2),))
    node.apply(service, copy, an_empty_machine("web", attach="web-tcp"))
    address = node.address_of("web-tcp")
    assert node.address_of("copy") == address, "they share it"
    assert started(node, "web", node.namespace)["address"] == address
    node.apply(an_empty_machine("second", attach="web-tcp"), an_empty_machine("third", attach="copy"))
    for name in ("second", "third"):
        node.eventually(lambda name=name: node.condition("vm", name, "Failure").get("reason") == "AddressInUse")
        assert address in node.condition("vm", name, "Failure")["message"]
        node.eventually(lambda name=name: "AddressInUse" in events_of(node, name))
    node.one_owner()
    node.delete("vm", "web")
    node.eventually(lambda: [name for name in ("second", "third") if node.status("vm", name).get("ready")])
    node.one_owner()


def test_fault_2_a_servers_service_is_no_other_machines(node: NodeWorld) -> None:
    owner = a_server(node)
    service = a_service("web-tcp", ports=(("TCP", 1),))
    service["metadata"]["ownerReferences"] = [owner]
    node.apply(service, an_empty_machine("thief", attach="web-tcp"))
    node.eventually(lambda: node.condition("vm", "thief", "Failure").get("reason") == "AddressInUse")
    node.apply(an_empty_machine("web", owner=owner, attach="web-tcp"))
    assert started(node, "web", node.namespace)["address"] == node.address_of("web-tcp")
    node.one_owner()


def a_claim(node: NodeWorld, service: str, server: str) -> dict[str, Any]:
    """Return the claim with which a VirtualServer has the address of a Service as a floating one."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": claim_name(service),
            "labels": {SERVICE_NAME: service, names.MANAGED_BY: names.OPERATOR_MANAGER},
            "ownerReferences": [controller_reference(VIRTUAL_SERVER, node.get("vs", server))],
        },
        "addressType": "IPv4",
        "endpoints": [],
    }


def test_fault_2_a_floating_address_is_no_machines_that_asks_for_it_while_a_server_has_it(node: NodeWorld) -> None:
    server = a_virtual_server(name="web", namespace=node.namespace)
    server["spec"]["network"] = {"floatingIPs": ["fl"]}
    node.apply(server, a_service("fl"))
    node.apply(a_claim(node, "fl", "web"))
    node.apply(an_empty_machine("web", owner=controller_reference(VIRTUAL_SERVER, node.get("vs", "web"))))
    started(node, "web", node.namespace)
    node.eventually(
        lambda: node.condition("service", "fl", names.FLOATS).get("status") == "True",
        what=lambda: f"{node.get('service', 'fl')} {node.log[-1500:]}",
    )
    node.apply(an_empty_machine("thief", attach="fl"))
    node.eventually(
        lambda: node.condition("vm", "thief", "Failure").get("reason") == "AddressInUse",
        what=lambda: str(node.status("vm", "thief")),
    )
    assert "VirtualServer web" in node.condition("vm", "thief", "Failure")["message"]
    assert node.condition("service", "fl", names.FLOATS)["status"] == "True", "it goes on floating"
    node.one_owner()
    node.stop_node()
    node.start_node()
    assert node.condition("vm", "thief", "Failure")["reason"] == "AddressInUse"
    node.patch("vs", "web", {"spec": {"network": {"floatingIPs": []}}})
    node.delete("endpointslice", claim_name("fl"))
    nic = started(node, "thief", node.namespace)
    assert nic["address"] == node.address_of("fl"), "it goes on by itself"
    node.one_owner()


def test_fault_3_a_machine_whose_owner_is_gone_ends_whatever_keeps_its_object(node: NodeWorld) -> None:
    owner = a_server(node)
    node.apply(an_empty_machine("web", owner=owner), a_service("front", selects="web"))
    started(node, "web", node.namespace)
    keep = "example.test/keep"
    node.patch("vmi", "web", {"metadata": {"finalizers": [names.NODE_FINALIZER, keep]}})
    node.stop_node()
    node.api.kubectl("-n", node.namespace, "delete", "vs", "web")
    node.eventually(lambda: not node.get("vm", "web"), what="the garbage collector has removed the machine")
    node.start_node()
    node.eventually(lambda: not processes_of(node, f"{node.namespace}/web"), what="its machine has ended")
    kept = node.eventually(lambda: released(node, keep), what=lambda: str(node.get("vmi", "web")))
    assert "interfaces" not in kept["status"], "what it had is not its own any more"
    tenant = node.namespace
    with another_namespace(node) as victim:
        node.apply(an_empty_machine("web"))
        started(node, "web", victim)
        node.one_owner()
        node.namespace = tenant
        node.apply(an_empty_machine("web", strategy="RerunOnFailure"))
        node.eventually(lambda: node.condition("vm", "web", "Failure").get("reason") == "InstanceNameTaken")
        assert keep in node.condition("vm", "web", "Failure")["message"]
        assert "VM is not running" in node.ask("web", "stop"), "the instance of its name is not its own"
        node.patch("vmi", "web", {"metadata": {"finalizers": None}})
        node.eventually(lambda: node.status("vm", "web").get("ready"), what=lambda: str(node.get("vm", "web")))
        node.one_owner()
        node.namespace = victim


def released(node: NodeWorld, keep: str) -> dict[str, Any]:
    vmi = node.get("vmi", "web")
    return vmi if vmi["metadata"].get("finalizers") == [keep] else {}


def test_fault_3_an_address_is_not_free_while_a_machine_has_it_whatever_became_of_its_objects(node: NodeWorld) -> None:
    node.apply(an_empty_machine("web"), a_service("front", selects="web"))
    own = started(node, "web", node.namespace)
    node.patch("vmi", "web", {"metadata": {"ownerReferences": None}})
    node.delete("vm", "web")
    node.stop_node()
    # Whatever else of the object somebody could write: the machine has what it was started with.
    forged = {"name": "default", "ipAddress": node.address_of("front"), "ipAddresses": [node.address_of("front")]}
    status = json.dumps({"status": {"interfaces": [forged]}})
    node.api.kubectl(
        *("-n", node.namespace, "patch", "vmi", "web", "--subresource=status", "--type=merge", "-p", status)
    )
    node.patch("vmi", "web", {"metadata": {"annotations": {names.ATTACH_LOAD_BALANCER: "front"}}})
    node.start_node()
    node.eventually(lambda: started(node, "web", node.namespace) == own, what="it has what it was started with")
    node.one_owner()
    tenant = node.namespace
    with another_namespace(node) as victim:
        node.apply(an_empty_machine("web"))
        other = started(node, "web", victim)
        assert not set(own.values()) & set(other.values())
        node.one_owner()
        assert started(node, "web", tenant) == own, "it goes on"


def test_who_has_a_servers_labels_gets_none_of_its_traffic(node: NodeWorld) -> None:
    owner = a_server(node)
    service = a_service("web-tcp", selects=owner["uid"])
    service["metadata"]["ownerReferences"] = [owner]
    thief = an_empty_machine("thief")
    thief["spec"]["template"]["metadata"]["labels"] = {names.UID: owner["uid"], names.NAME: "web"}
    anybodys = a_service("anybodys", selects=owner["uid"])
    node.apply(service, anybodys, thief)
    started(node, "thief", node.namespace)
    node.eventually(lambda: endpoints_of(node, "anybodys") == {"thief"}, what="a user's own Service selects by labels")
    assert endpoints_of(node, "web-tcp") == set()
    node.one_owner()
    machine = an_empty_machine("web", owner=owner)
    machine["spec"]["template"]["metadata"]["labels"] = {names.UID: owner["uid"]}
    node.apply(machine)
    node.eventually(lambda: endpoints_of(node, "web-tcp") == {"web"}, what="it leads to the server's machine")
    node.one_owner()


def endpoints_of(node: NodeWorld, service: str) -> set[str]:
    """Return the names of the VMIs that a Service leads to."""
    selector = f"kubernetes.io/service-name={service}"
    text = node.api.kubectl("-n", node.namespace, "get", "endpointslice", "-l", selector, "-o", "json")
    return {one["targetRef"]["name"] for found in json.loads(text)["items"] for one in found["endpoints"]}


def test_a_mac_that_somebody_named_first_is_no_other_tenants_though_its_machine_never_ran(node: NodeWorld) -> None:
    def named(**more: Any) -> dict[str, Any]:
        machine = an_empty_machine("web", **more)
        machine["spec"]["template"]["spec"]["domain"]["devices"]["interfaces"][0]["macAddress"] = "A2-1F-EE-09-06-5D"
        return machine

    node.apply(named(strategy="Halted"))
    tenant, created = node.namespace, node.get("vm", "web")["metadata"]["creationTimestamp"]
    with another_namespace(node) as thief:

        def is_younger() -> bool:
            node.api.kubectl("-n", thief, "delete", "vm", "web", "--ignore-not-found")
            node.apply(named())
            return node.get("vm", "web")["metadata"]["creationTimestamp"] > created

        node.eventually(is_younger, what="the clock of the API server goes on by a second")
        node.eventually(lambda: node.condition("vm", "web", "Failure").get("reason") == "MACAddressTaken")
        message = node.condition("vm", "web", "Failure")["message"]
        assert "a server of another namespace" in message
        assert tenant not in message
        node.one_owner()


def events_of(node: NodeWorld, name: str) -> str:
    selector = f"involvedObject.name={name}"
    return node.api.kubectl("-n", node.namespace, "get", "events", "--field-selector", selector)
