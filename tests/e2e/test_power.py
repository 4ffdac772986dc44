"""start, stop and restart as clients ask for them, and the run strategies."""

from __future__ import annotations

import json

import pytest

from e2e.manifests import a_server
from e2e.product import Product, eventually

PRIVATE = {"public": False}


def test_stop_start_and_restart_happen_and_are_not_undone(product: Product) -> None:
    product.apply(a_server("power", network=PRIVATE))
    try:
        product.wait_ready("power")
        first = product.get("vmi", "power")["metadata"]["uid"]
        answer = json.loads(product.power("power", "stop"))
        assert answer["code"] == 202
        product.wait_reason("power", "VirtualServerStopped")
        assert product.condition("power", "VirtualServerStarted")["status"] == "False"
        # A change of the server wakes every part; the stop is a user's wish and stands.
        product.kubectl("annotate", "vs", "power", "touched=yes")
        product.kubectl("patch", "vs", "power", "--type=merge", "-p", '{"spec":{"network":{"headless":true}}}')
        generation = product.get("vs", "power")["metadata"]["generation"]
        eventually(
            lambda: product.condition("power").get("observedGeneration") == generation, what="the change to be seen"
        )
        assert product.condition("power")["reason"] == "VirtualServerStopped"
        assert not product.get("vmi", "power")
        assert json.loads(product.power("power", "start"))["code"] == 202
        product.wait_ready("power")
        second = product.get("vmi", "power")["metadata"]["uid"]
        assert second != first
        assert json.loads(product.power("power", "restart"))["code"] == 202
        eventually(
            lambda: product.get("vmi", "power").get("metadata", {}).get("uid") not in (None, second), what="a new guest"
        )
        product.wait_ready("power")
        assert product.get("vm", "power")["spec"]["runStrategy"] == "Always"
    finally:
        product.delete("vs", "power")


def test_a_manifest_without_initialize_running_ends_stopped_and_can_be_started(product: Product) -> None:
    product.apply(a_server("quiet", running=False, network=PRIVATE))
    try:
        product.wait_reason("quiet", "VirtualServerStopped")
        assert product.condition("quiet", "VirtualMachineReady")["status"] == "True"
        product.power("quiet", "start")
        product.wait_ready("quiet")
    finally:
        product.delete("vs", "quiet")


@pytest.mark.parametrize(("strategy", "runs_again"), [("Always", True), ("RerunOnFailure", False), ("Manual", False)])
def test_a_guest_that_powers_itself_off_follows_its_run_strategy(
    product: Product, strategy: str, runs_again: bool
) -> None:
    name = f"off-{strategy.lower()}"
    product.apply(a_server(name, network=PRIVATE, runStrategy=strategy))
    try:
        product.wait_ready(name)
        first = product.get("vmi", name)["metadata"]["uid"]
        product.guest(name).run("(sleep 1; poweroff) >/dev/null 2>&1 &")
        if runs_again:
            eventually(
                lambda: product.get("vmi", name).get("metadata", {}).get("uid") not in (None, first),
                what="another start",
            )
            product.wait_ready(name)
        else:
            product.wait_reason(name, "VirtualServerStopped")
    finally:
        product.delete("vs", name)


def test_halted_stays_stopped_even_with_initialize_running(product: Product) -> None:
    product.apply(a_server("halted", network=PRIVATE, runStrategy="Halted"))
    try:
        product.wait_reason("halted", "VirtualServerStopped")
        assert not product.get("vmi", "halted")
    finally:
        product.delete("vs", "halted")


def test_a_guest_that_ignores_the_power_button_is_stopped_after_its_grace_period(product: Product) -> None:
    product.apply(a_server("deaf", network=PRIVATE, terminationGracePeriodSeconds=3))
    try:
        product.wait_ready("deaf")
        product.guest("deaf").run("for p in $(pidof acpid); do kill -9 $p; done")
        product.power("deaf", "stop")
        product.wait_reason("deaf", "VirtualServerStopped", seconds=60)
    finally:
        product.delete("vs", "deaf")
