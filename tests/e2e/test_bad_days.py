"""What cannot be had, or is asked for wrongly: the reason is said, nothing is lost, and it proceeds when it can."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from e2e.manifests import a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from e2e.product import Product

PRIVATE = {"public": False}


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"directAttachLoadBalancerIP": True, "tcp": {"ports": [22]}}, ["spec.network", "directAttachLoadBalancerIP"]),
        ({"tcp": {"ports": [0]}}, ["spec.network.tcp.ports[0]"]),
        ({"tcp": {"ports": [22, 22]}}, ["spec.network.tcp.ports"]),
        ({"macAddress": "01:00:00:00:00:01"}, ["spec.network.macAddress"]),
        ({"floatingIPs": [7]}, ["floatingIPs"]),
        ({"dnsPolicy": "None"}, ["nameservers"]),
    ],
)
def test_what_is_wrong_by_itself_is_refused_at_apply(
    product: Product, network: dict[str, Any], words: list[str]
) -> None:
    error = product.refused(a_server("wrong", running=False, network=network))
    assert all(word in error for word in words), error
    assert not product.get("vs", "wrong")


def test_a_missing_image_is_said_with_the_command_that_mends_it(product: Product) -> None:
    old = f"ubuntu2004-docker-master-2021060{os.getpid()}-ord1"
    product.apply(a_server("old", image=old, network=PRIVATE))
    try:
        message = product.wait_message("old", "vs image alias")
        assert f"spec.storage.root.source.pvc: image vd-images/{old} does not exist" in message
        command = message[message.index("vs image alias") :].partition(";")[0]
        assert command == f"vs image alias vd-images/{old} {command.split()[-1]}"
        product.vs(*command.split()[1:])
        product.wait_ready("old")
    finally:
        product.delete("vs", "old")
        product.delete("pvc", old, "-n", "vd-images")


def test_an_image_is_not_built_for_a_name_that_is_taken(product: Product) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": ""}
    metadata = {"name": "theirs", "namespace": "vd-images"}
    product.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim})
    try:
        before = product.folder.stat().st_mtime_ns
        done = product.attempt("image", "build", "busybox", "--name", "theirs")
        assert done.returncode == 4
        assert "a claim vd-images/theirs is there already, and is no image." in done.stderr
        assert product.folder.stat().st_mtime_ns == before, "it was built first"
    finally:
        product.delete("pvc", "theirs", "-n", "vd-images")


def test_names_that_are_taken_are_said_and_left_alone(product: Product) -> None:
    product.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "taken-tcp", "namespace": "default", "labels": {"whose": "mine"}},
            "spec": {"ports": [{"port": 80}], "selector": {"app": "mine"}},
        }
    )
    product.apply(a_server("taken", network={"public": True, "tcp": {"ports": [22]}}))
    try:
        condition = product.wait_reason("taken", "ServiceNameTaken")
        assert "taken-tcp" in condition["message"]
        assert product.get("service", "taken-tcp")["metadata"]["labels"] == {"whose": "mine"}
        product.delete("service", "taken-tcp")
        product.wait_ready("taken")
    finally:
        product.delete("vs", "taken")
        product.delete("service", "taken-tcp")


def test_a_machine_of_that_name_that_is_not_ours_is_left_alone(product: Product) -> None:
    product.apply(
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachine",
            "metadata": {"name": "foreign", "namespace": "default"},
            "spec": {"runStrategy": "Halted", "template": {"spec": {"domain": {"devices": {}}}}},
        }
    )
    uid = product.get("vm", "foreign")["metadata"]["uid"]
    product.apply(a_server("foreign", network=PRIVATE))
    try:
        product.wait_reason("foreign", "VirtualMachineNameTaken")
        product.delete("vs", "foreign")
        assert product.get("vm", "foreign")["metadata"]["uid"] == uid
    finally:
        product.delete("vs", "foreign")
        product.delete("vm", "foreign")


def test_what_is_not_carried_out_yet_is_not_started_and_says_which_field(product: Product) -> None:
    gpu = {"type": "Quadro_RTX_4000", "count": 1}
    product.apply(a_server("later", resources={"gpu": gpu, "memory": "96Mi"}))
    try:
        condition = product.wait_reason("later", "NotSupportedYet")
        assert condition["status"] == "False" and "spec.resources.gpu" in condition["message"]
        assert not product.get("vmi", "later")
    finally:
        product.delete("vs", "later")


def test_memory_beyond_the_machine_is_told_with_what_it_has(product: Product) -> None:
    product.apply(a_server("huge", network=PRIVATE, resources={"cpu": {"count": 1}, "memory": "900Gi"}))
    try:
        message = product.wait_message("huge", "if no other ran")
        assert (
            "spec.resources.memory: " in message and "asks for 900Gi of memory, and this machine could give " in message
        )
        small = a_server("huge", network=PRIVATE)
        product.apply(small)
        product.wait_ready("huge")
    finally:
        product.delete("vs", "huge")


def test_a_stopped_server_says_a_command_that_starts_it_with_what_is_here(product: Product) -> None:
    product.apply(a_server("halted", running=False, network=PRIVATE))
    try:
        message = product.wait_reason("halted", "VirtualServerStopped")["message"]
        command = message.partition("to start it: ")[2].partition(";")[0]
        assert command == "vs start halted"
        product.vs(*command.split()[1:])
        assert product.condition("halted")["status"] == "True"
    finally:
        product.delete("vs", "halted")


DOUBLED = "a0: &a0 [a]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(60))
"""Fault 12: two to the power of 60 values; it stopped the operator for everybody."""


@pytest.mark.parametrize("text", ["- a\n- list\n", "just words", "a: [unclosed", DOUBLED, "a: !!bool x"])
def test_cloud_init_that_is_no_mapping_is_a_condition_before_anything_starts(product: Product, text: str) -> None:
    product.apply(a_server("cloudy", network=PRIVATE, cloudInit=text))
    try:
        eventually(
            lambda: "spec.cloudInit" in product.condition("cloudy").get("message", ""),
            what="the condition about cloudInit",
        )
        assert not product.get("vmi", "cloudy")
    finally:
        product.delete("vs", "cloudy")


def test_public_without_ports_says_that_it_has_no_effect_yet(product: Product) -> None:
    product.apply(a_server("lonely", network={"public": True}))
    try:
        assert "no effect" in product.wait_ready("lonely")["status"]["conditions"][0]["message"]
        assert product.get("vs", "lonely")["status"]["network"]["externalIP"] == ""
    finally:
        product.delete("vs", "lonely")


def test_a_users_own_load_balancer_service_gets_an_address(product: Product) -> None:
    product.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "floating", "namespace": "default"},
            "spec": {"type": "LoadBalancer", "ports": [{"name": "ignored", "port": 1}]},
        }
    )
    try:
        eventually(
            lambda: product.get("service", "floating")["status"]["loadBalancer"].get("ingress"),
            what="an address",
            seconds=30,
        )
    finally:
        product.delete("service", "floating")
