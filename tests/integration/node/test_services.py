"""Load balancer addresses, with the real API server and data plane; the public pool has 6 addresses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.fabric_world import is_in_time
from harness.node_world import a_machine, a_namespace, a_service, a_volume, an_empty_machine
from virtualserver.api import names
from virtualserver.local import inventory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)


def assigned(node: NodeWorld, name: str) -> dict[str, str]:
    return node.condition("service", name, names.ADDRESS_ASSIGNED)


def test_a_users_service_without_selector_gets_an_address(node: NodeWorld) -> None:
    node.apply(a_service("floating"))
    assert node.address_of("floating")
    assert assigned(node, "floating")["status"] == "True"


def test_a_service_that_changes_pools_says_which_its_address_is_from(node: NodeWorld) -> None:
    seen: set[tuple[str, str]] = set()

    def address_and_pool() -> tuple[str, str]:
        service = node.get("service", "moving")
        ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or [{"ip": ""}]
        found = ingress[0]["ip"], service["metadata"]["annotations"].get(names.METALLB_ALLOCATED_FROM, "")
        seen.add(found)
        return found

    node.apply(a_service("moving", annotations={names.METALLB_ADDRESS_POOL: "public"}))
    node.eventually(lambda: address_and_pool()[1] == "public")
    node.apply(a_service("moving", annotations={names.METALLB_ADDRESS_POOL: "private"}))
    node.eventually(lambda: address_and_pool()[1] == "private")
    addresses = {pool: address for address, pool in seen if pool}
    assert addresses["public"] != addresses["private"]
    assert seen <= {("", ""), *((address, pool) for pool, address in addresses.items())}, "never one without the other"


def test_an_exhausted_pool_is_told_and_waited_for(node: NodeWorld) -> None:
    services = [f"s{number}" for number in range(6)]
    node.apply(*(a_service(name) for name in services))
    for name in services:
        node.address_of(name)
    node.apply(a_service("late"))
    node.eventually(lambda: assigned(node, "late").get("reason") == "PoolExhausted")
    assert "6 of 6 are in use" in assigned(node, "late")["message"]
    freed = node.address_of("s3")
    node.delete("service", "s3")
    assert node.address_of("late") == freed


def test_fault_4_an_address_is_its_services_until_its_rules_are_gone_whatever_keeps_it(running: NodeWorld) -> None:
    node = running
    node.apply(a_service("kept", selects="one"))
    address = node.address_of("kept")
    node.wait_answers(address, 22)
    finalizers = {"metadata": {"finalizers": ["example.com/keep"]}}
    node.patch("service", "kept", finalizers)
    node.api.kubectl("-n", node.namespace, "delete", "service", "kept", "--wait=false")
    assert node.get("service", "kept")["metadata"]["deletionTimestamp"]
    thief = a_service("thief", annotations={names.METALLB_LOAD_BALANCER_IPS: address})
    node.apply(thief)
    node.eventually(lambda: assigned(node, "thief").get("reason") == "AddressInUse")
    whose = inventory.Item("address", address, f"Service {node.namespace}/kept")
    assert whose in inventory.of(node.installation), "the administrator is told whose it is"
    others = [node.apply(a_service(f"s{number}")) or node.address_of(f"s{number}") for number in range(5)]
    assert address not in others
    node.stop_node()
    node.start_node()
    assert node.answers(address, 22), "it is still the first one's guest"
    assert assigned(node, "thief").get("reason") == "AddressInUse"
    node.patch("service", "kept", {"metadata": {"finalizers": None}})
    assert node.address_of("thief") == address
    assert not node.answers(address, 22), "the first one's rules went first"
    node.one_owner()


def test_fault_4_a_service_that_is_no_load_balancer_any_more_gives_its_address_back(running: NodeWorld) -> None:
    node = running
    node.apply(a_service("one-tcp", selects="one"))
    address = node.address_of("one-tcp")
    node.wait_answers(address, 22)
    node.patch("service", "one-tcp", {"spec": {"type": "ClusterIP", "allocateLoadBalancerNodePorts": None}})
    node.apply(a_service("next", annotations={names.METALLB_LOAD_BALANCER_IPS: address}))
    assert node.address_of("next") == address
    assert not node.answers(address, 22)


def test_fault_5_a_namespace_over_its_quota_is_told_so_and_goes_on_when_there_is_room(node: NodeWorld) -> None:
    def allow(quota: str) -> None:
        node.api.kubectl("annotate", "--overwrite", "namespace", node.namespace, f"{names.ADDRESS_QUOTA}={quota}")

    def is_refused() -> bool:
        """The node follows the file a moment after it is there; what it grants until then is given back."""
        node.apply(a_service("last"))
        node.eventually(lambda: assigned(node, "last"))
        if assigned(node, "last")["status"] == "True":
            node.delete("service", "last")
        return assigned(node, "last").get("reason") == "AddressQuotaExceeded"

    allow("2")
    services = ["a", "b", "late"]
    node.apply(*(a_service(name) for name in services))
    node.eventually(lambda: any(assigned(node, name).get("reason") == "AddressQuotaExceeded" for name in services))
    node.eventually(lambda: sum(assigned(node, name).get("status") == "True" for name in services) == 2)
    held = [name for name in services if assigned(node, name)["status"] == "True"]
    (late,) = set(services) - set(held)
    assert assigned(node, late)["message"].startswith("2 of 2 of pool public")
    allow("1")
    assert [assigned(node, name)["status"] for name in held] == ["True", "True"], "what is held stays"
    node.delete("service", *held)
    assert node.address_of(late)
    node.apply(a_service("later"))
    node.eventually(lambda: assigned(node, "later").get("reason") == "AddressQuotaExceeded")
    allow("3")
    assert node.address_of("later")
    node.api.kubectl("annotate", "namespace", node.namespace, f"{names.ADDRESS_QUOTA}-")
    file = node.installation.site_file
    try:
        file.write_text("quotas: {addresses: {public: 2}}\n")
        node.eventually(lambda: "public: 2" in node.installation.effective_site.read_text())
        node.eventually(is_refused)
        quotas = {"addresses": {"public": 2}, "namespaces": {node.namespace: {"addresses": 3}}}
        file.write_text(json.dumps({"quotas": quotas}))
        assert node.address_of("last")
    finally:
        file.unlink()


def test_attack_a_tenant_who_says_himself_which_address_his_service_has_gets_none_by_it(node: NodeWorld) -> None:
    node.apply(a_service("victim"))
    address = node.address_of("victim")
    tenant = f"tenant-of-{node.namespace}"
    kubectl = ("-n", node.namespace, f"--as={tenant}")
    node.api.kubectl("-n", node.namespace, "create", "rolebinding", "tenant", "--clusterrole=edit", f"--user={tenant}")
    thief = a_service("thief", annotations={names.METALLB_ALLOCATED_FROM: "private"})
    owner = {"apiVersion": "v1", "kind": "Service", "name": "victim", "controller": True}
    thief["metadata"]["ownerReferences"] = [{**owner, "uid": node.get("service", "victim")["metadata"]["uid"]}]
    lie = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
    node.api.kubectl(*kubectl, "apply", "-f", "-", stdin=json.dumps({**thief, **lie}))
    of_status = ("patch", "service", "thief", "--subresource=status", "--type=merge", "-p", json.dumps(lie))
    assert "forbidden" in node.api.kubectl(*kubectl, *of_status, check=False)
    assert "forbidden" in node.api.kubectl(
        f"--as={tenant}", "annotate", "namespace", node.namespace, f"{names.ADDRESS_QUOTA}=99", check=False
    )
    # Whoever could write it: the node puts right what a status says.
    node.api.kubectl("-n", node.namespace, *of_status)
    node.eventually(lambda: node.address_of("thief") != address)
    node.eventually(
        lambda: node.get("service", "thief")["metadata"]["annotations"].get(names.METALLB_ALLOCATED_FROM) == "public"
    )
    assert node.address_of("victim") == address
    node.one_owner()


def test_fault_26_a_quota_on_endpoint_slices_keeps_no_address_back_and_is_told(running: NodeWorld) -> None:
    node, slices = running, "count/endpointslices.discovery.k8s.io"
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {slices: "0"}}}

    def told() -> dict[str, Any]:
        return node.condition("service", "one-tcp", names.PORTS_PUBLISHED)

    node.apply(quota)
    node.eventually(lambda: node.status("resourcequota", "few").get("used") == {slices: "0"})
    node.apply(a_service("one-tcp", selects="one"))
    address = node.address_of("one-tcp")
    node.eventually(lambda: told().get("reason") == "EndpointsRefused")
    assert f"exceeded quota: few, requested: {slices}=1" in told()["message"]
    node.wait_answers(address, 22)
    node.delete("resourcequota", "few")
    node.eventually(lambda: not told())


def _led_to(node: NodeWorld, address: str) -> int:
    """Return how many guests the ports of an address lead to."""
    listed = node.in_namespace("nft", "list", "table", "inet", "virtualserver")
    ports = [line for line in listed.splitlines() if f"{address} . tcp . 22 : 10." in line]
    chain = listed.partition(f"chain spread_{address}_tcp_22 {{")[2].partition("}")[0]
    return len(ports) or chain.count(" : ")


def test_fault_27_of_several_guests_one_that_ends_leaves_no_gap_whoever_has_the_name_of_our_slice(
    running: NodeWorld,
) -> None:
    node, empty = running, an_empty_machine("two")
    empty["spec"]["template"]["metadata"]["labels"] = {names.UID: "one"}
    by_hand = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "late-ipv4", "labels": {"kubernetes.io/service-name": "late"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.96.0.1"]}],
        "ports": [{"port": 443}],
    }
    node.apply(by_hand, a_service("late", selects="one"))
    address = node.address_of("late")
    node.wait_answers(address, 22)
    for type_, reason in ((names.PORTS_PUBLISHED, "EndpointsRefused"), (names.FULLY_APPLIED, "PartlyApplied")):
        node.eventually(
            lambda type_=type_, reason=reason: node.condition("service", "late", type_).get("reason") == reason
        )
        selector = f"involvedObject.name=late,reason={reason}"
        node.eventually(
            lambda selector=selector: node.api.kubectl(
                "-n", node.namespace, "get", "events", "--field-selector", selector, "-o", "name"
            )
        )
    node.apply(empty)
    node.eventually(lambda: _led_to(node, address) == 2)
    os.kill(node.qemu_pid("two"), signal.SIGKILL)
    began = time.monotonic()
    while _led_to(node, address) == 2:
        assert time.monotonic() - began < 2
    assert is_in_time(time.monotonic() - began, within=0.5)
    node.eventually(lambda: _led_to(node, address) == 2, what="it was started again")
    node.api.kubectl("-n", node.namespace, "delete", "vm", "two", "--wait=false")
    for _ in range(200):
        assert node.tcp(address, 22, seconds=10), "one that was about to go to it goes to the other"
    assert _led_to(node, address) == 1
    node.delete("endpointslice", "late-ipv4")
    node.eventually(lambda: not node.condition("service", "late", names.PORTS_PUBLISHED))


def test_the_address_moves_between_the_services_of_one_server(node: NodeWorld) -> None:
    node.apply(a_volume("one"), a_machine("one", strategy="Halted"))
    uid = node.get("vm", "one")["metadata"]["uid"]
    shared = {names.METALLB_ALLOW_SHARED_IP: uid}
    node.apply(a_service("one-tcp", selects="one", annotations=shared))
    address = node.address_of("one-tcp")
    node.delete("service", "one-tcp")
    node.apply(a_service("one-udp", selects="one", annotations=shared, ports=(("UDP", 53),)))
    assert node.address_of("one-udp") == address
    private = {**shared, names.METALLB_ADDRESS_POOL: "private"}
    node.apply(a_service("one-udp", selects="one", annotations=private, ports=(("UDP", 53),)))
    node.eventually(lambda: node.address_of("one-udp") != address)


@pytest.fixture(scope="module")
def kept_attached_guest(running_node: NodeWorld) -> Iterator[str]:
    """The namespace of a guest that has the address of a Service, which tests hand on."""
    with a_namespace(running_node) as namespace:
        running_node.namespace = namespace
        service = a_service("one-tcp", ports=(("TCP", 1),))
        running_node.apply(a_volume("one"), service, a_machine("one", attach="one-tcp"))
        yield namespace


@pytest.fixture
def attached(running_node: NodeWorld, kept_attached_guest: str) -> NodeWorld:
    """A node whose guest ``one`` has the address of the Service ``one-tcp``."""
    running_node.namespace = kept_attached_guest
    running_node.wait_taken("one")
    return running_node


def test_an_attached_address_is_the_guests_own_and_stays(attached: NodeWorld) -> None:
    node, address = attached, attached.address_of("one-tcp")
    assert node.guest("one").address() == address
    assert node.status("vmi", "one")["interfaces"][0]["ipAddress"] == address
    assert node.tcp(address, 22), "any port, not only the Service's"
    ping = ["ping", "-c", "1", "-w", "10", "-q", address]
    assert subprocess.run(ping, check=False, capture_output=True).returncode == 0
    node.ask("one", "restart")
    before = node.get("vmi", "one")["metadata"]["uid"]
    node.eventually(lambda: node.get("vmi", "one").get("metadata", {}).get("uid", before) != before)
    node.wait_taken("one")
    assert node.guest("one").address() == address


def _restrict(node: NodeWorld, service: str, ranges: str, *, by_annotation: bool = False) -> None:
    """Let a Service be called from one network only, or from everywhere (``""``)."""
    if by_annotation:
        annotations = {"service.beta.kubernetes.io/load-balancer-source-ranges": ranges or None}
        node.patch("service", service, {"metadata": {"annotations": annotations}})
    else:
        node.patch("service", service, {"spec": {"loadBalancerSourceRanges": [ranges] if ranges else None}})


def _is_reset(opened: socket.socket) -> bool:
    opened.settimeout(1)  # what was sent before the connection was cut has no answer
    try:
        opened.sendall(b"still?")
        opened.recv(100)
    except ConnectionError:
        return True
    except TimeoutError:
        pass
    return False


def _follows_source_ranges(node: NodeWorld) -> None:
    address = node.address_of("one-tcp")
    node.wait_answers(address, 22)
    for by_annotation in (False, True):
        with socket.create_connection((address, 22), timeout=10) as opened:
            assert opened.recv(100)
            _restrict(node, "one-tcp", "192.0.2.0/24", by_annotation=by_annotation)
            node.eventually(lambda: not node.answers(address, 22))
            node.eventually(lambda: _is_reset(opened))  # new connections are refused a moment earlier
        _restrict(node, "one-tcp", str(node.data_plane().ranges.host_end().network), by_annotation=by_annotation)
        node.wait_answers(address, 22)
        _restrict(node, "one-tcp", "", by_annotation=by_annotation)
    _restrict(node, "one-tcp", "2001:db8::/32")
    node.eventually(lambda: not node.answers(address, 22))
    kind = f"{names.DOMAIN}/PortsPublished"
    node.eventually(lambda: node.condition("service", "one-tcp", kind).get("reason") == "SourceRangeInvalid")
    assert "spec.loadBalancerSourceRanges" in node.condition("service", "one-tcp", kind)["message"]


def test_fault_16_source_ranges_are_carried_out_while_a_guest_runs(running: NodeWorld) -> None:
    running.apply(a_service("one-tcp", selects="one"))
    _follows_source_ranges(running)


def test_fault_16_source_ranges_are_carried_out_for_an_address_that_is_attached(attached: NodeWorld) -> None:
    _follows_source_ranges(attached)
    _restrict(attached, "one-tcp", "")


def test_a_running_guest_keeps_its_address_when_its_service_goes(attached: NodeWorld) -> None:
    node, address = attached, attached.address_of("one-tcp")
    node.delete("service", "one-tcp")
    node.stop_node()
    node.start_node()
    assert node.tcp(address, 22)
    node.apply(a_service("other"))
    assert node.address_of("other") != address, "a guest still has it"


def test_a_server_that_waits_for_an_address_says_so_and_starts_when_it_has_one(node: NodeWorld) -> None:
    node.apply(a_volume("one"), a_machine("one", attach="one-tcp"))
    node.eventually(lambda: node.condition("vm", "one", "Failure").get("reason") == "WaitingForAddress")
    assert "one-tcp" in node.condition("vm", "one", "Failure")["message"]
    node.apply(a_service("one-tcp", ports=(("TCP", 1),)))
    node.wait_taken("one")


def test_a_headless_service_names_the_guest_for_others(running: NodeWorld) -> None:
    node = running
    headless = a_service("one", selects="one", clusterIP="None", publishNotReadyAddresses=True)
    headless["spec"] = {key: headless["spec"][key] for key in ("clusterIP", "publishNotReadyAddresses", "selector")}
    node.apply(headless)
    guest = node.guest("one")
    address, question = guest.address(), f"nslookup one.{node.namespace}.svc.cluster.local"
    # A lease is known here before the guest writes down whom it asks.
    node.eventually(lambda: address in guest.attempt(question).output, seconds=60, what="the name resolves")


def test_a_named_target_port_is_told(node: NodeWorld) -> None:
    service = a_service("one-tcp", selects="one")
    service["spec"]["ports"][0]["targetPort"] = "ssh"
    node.apply(service)
    node.eventually(
        lambda: (
            node.condition("service", "one-tcp", f"{names.DOMAIN}/PortsPublished").get("reason") == "NamedTargetPort"
        )
    )
