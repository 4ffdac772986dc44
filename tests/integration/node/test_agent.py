"""Machines from their objects to their guests and back, with the real API server, data plane and QEMU."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import signal
import socket
import sqlite3
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.node_world import a_machine, a_service, a_volume
from virtualserver.api import names
from virtualserver.machines import memory

if TYPE_CHECKING:
    from pathlib import Path

    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def start(node: NodeWorld, name: str = "one", **fields: str) -> None:
    node.apply(a_volume(name), a_machine(name, **fields))
    node.wait_printable(name, "Running")
    node.wait_taken(name)


def test_a_machine_runs_and_everything_about_it_is_told(running: NodeWorld) -> None:
    node = running
    node.apply(a_service("one-tcp", selects="one"))
    vm, vmi = node.get("vm", "one"), node.get("vmi", "one")
    assert vm["status"]["ready"] and vm["status"]["created"]
    for key in (names.LATEST_OBSERVED_API_VERSION, names.STORAGE_OBSERVED_API_VERSION):
        assert vm["metadata"]["annotations"][key] == "v1"
    interface = vmi["status"]["interfaces"][0]
    assert interface["name"] == "default"
    guest = node.guest("one")
    assert guest.address() == interface["ipAddress"]
    assert guest.run("cat /sys/class/net/eth0/address").strip() == interface["mac"]
    node.wait_answers(node.address_of("one-tcp"), 22)
    claim = node.get("pvc", "one")
    assert claim["status"]["phase"] == "Bound" and claim["status"]["capacity"]["storage"]
    slices = node.eventually(lambda: node.get("endpointslice", "one-tcp-ipv4"))
    assert slices["endpoints"][0]["addresses"] == [interface["ipAddress"]]
    assert slices["endpoints"][0]["conditions"]["ready"] is True


def test_a_node_that_is_started_early_makes_the_host_ready_and_asks_nobody_before_it_is_released(
    node: NodeWorld,
) -> None:
    node.stop_node()
    node.in_namespace("nft", "flush", "ruleset")
    began, (reading, writing) = now(), os.pipe()
    try:
        node.start_node(standing_by=reading)
        node.eventually(lambda: "chain forward" in node.in_namespace("nft", "list", "ruleset"), what="the base rules")
        time.sleep(1)
        assert node.has_node and node.asked_since(began) == []
    finally:
        os.close(reading)
        os.close(writing)
    node.wait_node()
    assert node.asked_since(began)


def test_stop_start_and_restart_happen_and_are_not_undone(running: NodeWorld) -> None:
    node = running
    before = node.get("vmi", "one")
    assert '"code":202' in node.ask("one", "stop")
    node.wait_printable("one", "Stopped")
    assert "VM is not running" in node.ask("one", "stop", version="v1alpha3")
    assert node.get("vm", "one")["spec"]["runStrategy"] == "RerunOnFailure"
    first, second = node.ask_twice("one", "start")
    assert '"code":202' in first
    assert '"code":202' in second, "a machine that is starting accepts another start"
    node.wait_printable("one", "Running")
    node.wait_taken("one")
    assert "VM is already running" in node.ask("one", "start")
    after = node.get("vmi", "one")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["status"]["interfaces"] == before["status"]["interfaces"]
    assert '"code":202' in node.ask("one", "restart")
    node.eventually(
        lambda: node.get("vmi", "one").get("metadata", {}).get("uid") not in (None, after["metadata"]["uid"])
    )
    node.wait_printable("one", "Running")
    assert not node.status("vm", "one").get("stateChangeRequests")


def test_a_guest_whose_tap_somebody_deletes_goes_on(running: NodeWorld) -> None:
    """Fault 31: it is reachable again within seconds, and so it is where the node was away meanwhile."""
    node = running
    node.apply(a_service("one-tcp", selects="one"))
    address, pid = node.address_of("one-tcp"), node.qemu_pid("one")
    node.wait_answers(address, 22)
    (tap,) = [item["name"] for item in asyncio.run(node.data_plane().inventory()) if item["kind"] == "tap"]
    for is_away in (False, True):
        if is_away:
            node.stop_node()
        node.in_namespace("ip", "link", "delete", tap)
        if is_away:
            node.start_node()
        began = time.monotonic()
        node.wait_answers(address, 22, seconds=30)
        print(f"reachable after {time.monotonic() - began:.1f} s")
        node.eventually(lambda: node.status("vm", "one").get("ready") is True, seconds=30)
    assert node.qemu_pid("one") == pid


def test_a_second_node_says_who_is_there_and_does_nothing(running_node: NodeWorld) -> None:
    """Two of them would start each machine twice, and undo in the data plane what the other did."""
    node = running_node
    installation = node.installation

    def kept() -> list[object]:
        taps = [one["name"] for one in asyncio.run(node.data_plane().inventory()) if one["kind"] == "tap"]
        with contextlib.closing(sqlite3.connect(f"file:{installation.allocations}?mode=ro", uri=True)) as database:
            claims = sorted(database.execute("SELECT owner, purpose, kind, value FROM claims"))
        return [claims, taps, installation.ready("node").read_text(), installation.record_file.read_bytes()]

    def is_calm() -> bool:
        began = now()
        time.sleep(1)
        return node.writes_since(began) == []

    node.eventually(is_calm, what="the node has nothing more to write")
    moment, before = now(), kept()
    second = node.run("second", sys.executable, "-m", *node.node_command)
    assert second.wait(30) == 1
    said = installation.log("second").read_text().splitlines()[-1]
    assert f"another node of {installation.name}, PID {node.node_pid}, runs already: this one does nothing" in said
    assert (kept(), node.writes_since(moment)) == (before, [])
    assert node.has_node
    # One that is started the moment that the former is killed takes its place.
    node.stop_node(signal.SIGKILL)
    node.start_node()
    installation.log("second").unlink()


def dnsmasq_of(node: NodeWorld) -> int:
    inventory = asyncio.run(node.data_plane().inventory())
    return next((int(one["detail"].removeprefix("pid ")) for one in inventory if one["kind"] == "process"), 0)


def test_a_node_that_stood_still_catches_up_and_does_nothing_twice(running: NodeWorld) -> None:
    """A laptop's lid: node and dnsmasq stop, the network changes, and all go on."""
    node = running
    node.apply(a_service("one-tcp", selects="one"))
    address, pid = node.address_of("one-tcp"), node.qemu_pid("one")
    node.wait_answers(address, 22)
    (tap,) = [item["name"] for item in asyncio.run(node.data_plane().inventory()) if item["kind"] == "tap"]
    dnsmasq = dnsmasq_of(node)
    stopped = (node.node_pid, dnsmasq, pid)
    moment = now()
    for one in stopped:
        os.kill(one, signal.SIGSTOP)
    try:
        node.in_namespace("ip", "link", "delete", tap)
        node.in_namespace("nft", "flush", "ruleset")
        node.apply(a_service("two-tcp", selects="one", ports=(("TCP", 2222),)))
        assert not node.answers(address, 22)
    finally:
        for one in stopped:
            os.kill(one, signal.SIGCONT)
    began = time.monotonic()
    node.wait_answers(address, 22, seconds=30)
    second = node.address_of("two-tcp", seconds=30)
    print(f"all answers after {time.monotonic() - began:.1f} s")
    assert (node.qemu_pid("one"), second != address) == (pid, True)
    assert dnsmasq_of(node) == dnsmasq
    writes = node.writes_since(moment)
    assert sum("services/two-tcp/status" in one for one in writes) == 1, writes
    assert not any("services/one-tcp" in one for one in writes), writes

    # Who stops QEMU alone, or dnsmasq, is seen.
    os.kill(pid, signal.SIGSTOP)
    os.kill(dnsmasq, signal.SIGSTOP)
    node.eventually(lambda: node.condition("vmi", "one", "Ready").get("reason") == "GuestStandsStill", seconds=30)
    assert "SIGSTOP" in node.condition("vmi", "one", "Ready")["message"]
    os.kill(pid, signal.SIGCONT)
    node.eventually(lambda: node.condition("vmi", "one", "Ready").get("status") == "True", seconds=30)
    node.wait_answers(address, 22, seconds=30)
    node.eventually(lambda: dnsmasq_of(node) not in (0, dnsmasq), seconds=60, what="dnsmasq is started again")


def test_a_machine_that_dies_is_started_again_after_a_while(node: NodeWorld) -> None:
    start(node)
    os.kill(node.qemu_pid("one"), signal.SIGKILL)
    node.wait_printable("one", "CrashLoopBackOff", seconds=10)
    node.wait_printable("one", "Running", seconds=40)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_node_that_comes_back_finds_all_in_order(running: NodeWorld, how: signal.Signals) -> None:
    node = running
    node.apply(a_service("one-tcp", selects="one"))
    address, pid = node.address_of("one-tcp"), node.qemu_pid("one")
    node.wait_answers(address, 22)
    node.stop_node(how)
    assert node.tcp(address, 22)
    moment = now()
    node.start_node()
    assert node.qemu_pid("one") == pid
    assert node.tcp(address, 22)
    # The next change shows that the node works; nothing was written before it, except where the API server looked for
    # the node while it was away.
    assert '"code":202' in node.ask("one", "stop")
    node.wait_printable("one", "Stopped")
    first, *others = [one for one in node.writes_since(moment) if "/apiservices/" not in one]
    assert "virtualmachines/one/status" in first, "the first write is the stop"
    assert [one for one in others if "/one" not in one] == []


def test_a_node_that_was_missed_is_handed_what_is_asked_as_soon_as_it_is_back(
    running: NodeWorld, tmp_path: Path
) -> None:
    """kube-apiserver alone would look again after up to a minute; until then it answers 503, or knows no resource."""

    def pools() -> str:
        """Return what a kubectl says that has not asked before: one that has remembers the resources."""
        return running.api.kubectl("get", "pools", "--cache-dir", str(tmp_path / f"{time.monotonic_ns()}"), check=False)

    running.stop_node()
    for name in ("v1.subresources.kubevirt.io", "v1alpha1.network.virtualservers.coreweave.com"):
        running.api.kubectl("annotate", "apiservice", name, "example.com/looked=again", "--overwrite")
        running.eventually(
            lambda name=name: running.condition("apiservice", name, "Available").get("status") == "False",
            what="kube-apiserver misses the node",
        )
    running.eventually(
        lambda: "doesn't have a resource type" in pools(),
        what="kubectl knows no pools",
    )
    running.start_node()
    assert "VM is already running" in running.ask("one", "start")
    assert "public" in pools()


def test_a_machine_whose_fields_are_refused_now_goes_on_with_its_links_and_disks(node: NodeWorld) -> None:
    """An earlier version started it: what a later one refuses holds for the next start."""
    node.apply(a_service("one-tcp", selects="one"))
    start(node)
    address, pid, uid = node.address_of("one-tcp"), node.qemu_pid("one"), node.get("vmi", "one")["metadata"]["uid"]
    before = len(node.log)
    node.stop_node()
    refused: list[dict[str, Any]] = [{"name": "default", "bridge": {}, "macAddress": "zz"}]
    resolver = {"nameservers": ["x"], "searches": ["a,b"]}
    spec: dict[str, Any] = {"domain": {"devices": {"interfaces": refused}}, "hostname": "a,b", "dnsConfig": resolver}
    node.patch("vmi", "one", {"spec": spec})
    node.start_node()
    node.apply(a_service("two-tcp", selects="one", ports=(("TCP", 22),)))
    assert node.tcp(node.address_of("two-tcp"), 22) and node.tcp(address, 22)
    assert node.qemu_pid("one") == pid
    mac = node.get("vmi", "one")["status"]["interfaces"][0]["mac"]
    hosts = [path for path in (node.installation.fabric_run / "dhcp-host").iterdir() if mac in path.read_text()]
    assert len(hosts) == 1, "its address is the answer to its next DHCP request, too"
    # Its disk is open, so it is not removed with its DataVolume: the other one is, by the same sweep.
    node.apply(a_volume("two"))
    node.eventually(lambda: node.status("dv", "two").get("phase") == "Succeeded")
    opened, other = (
        node.installation.state / "disks" / f"{node.get('dv', name)['metadata']['uid']}.qcow2"
        for name in ("one", "two")
    )
    node.delete("dv", "one", "two")
    node.eventually(lambda: not other.exists(), seconds=15)
    assert opened.exists() and node.get("vmi", "one")["metadata"]["uid"] == uid
    assert "Traceback" not in node.log[before:]


def test_a_guest_that_powers_itself_off_stays_off(running: NodeWorld) -> None:
    node = running
    node.guest("one").run("(sleep 0.5; poweroff -f) >/dev/null 2>&1 &")
    node.wait_printable("one", "Stopped")
    node.eventually(lambda: not node.get("vmi", "one"))
    assert node.status("vm", "one")["printableStatus"] == "Stopped"


def test_machines_that_ran_when_all_was_ended_run_again(running: NodeWorld) -> None:
    node = running
    uid = node.get("vmi", "one")["metadata"]["uid"]
    node.stop_node()
    asyncio.run(node.end_machines())
    asyncio.run(node.data_plane().stop())
    node.start_node()
    node.wait_printable("one", "Running")
    node.wait_taken("one")
    assert node.get("vmi", "one")["metadata"]["uid"] == uid


def test_deletion_leaves_nothing_and_takes_seconds(node: NodeWorld) -> None:
    def in_data_plane() -> list[dict[str, str]]:
        kinds = "tap", "published", "dhcp-host"
        return [one for one in asyncio.run(node.data_plane().inventory()) if one["kind"] in kinds]

    before = in_data_plane()
    node.apply(a_service("one-tcp", selects="one"))
    start(node)
    uid = node.get("vmi", "one")["metadata"]["uid"]
    disk = node.installation.state / "disks" / f"{node.get('dv', 'one')['metadata']['uid']}.qcow2"
    assert disk.exists()
    node.delete("vm,dv,service", "--all")
    node.eventually(lambda: not node.get("vmi", "one"), seconds=15)
    assert not (node.installation.state / "machines" / uid).exists()
    node.eventually(lambda: not disk.exists(), seconds=15)
    assert not (node.installation.state / "seeds" / f"{uid}.iso").exists()
    assert in_data_plane() == before


def test_memory_that_does_not_fit_is_waited_for_with_its_reason(node: NodeWorld) -> None:
    # What the machine could give if nothing else ran on it.
    most = memory.total_bytes() - memory.RESERVE_BYTES - memory.OVERHEAD_BYTES["tcg"]
    node.apply(a_volume("one"), a_machine("one", memory=f"{most >> 20}Mi"))
    node.wait_printable("one", "ErrorUnschedulable")
    failure = node.condition("vm", "one", "Failure")
    assert failure["reason"] == "InsufficientMemory"
    assert "for which there is no room now: stop another server (vs stop NAME)" in failure["message"]
    node.apply(a_machine("one", memory="900Gi"))
    node.eventually(lambda: node.condition("vm", "one", "Failure")["reason"] == "MemoryExceedsMachine")
    # What has never run needs no restart to become what is wanted now.
    node.apply(a_machine("one"))
    node.wait_printable("one", "Running")


def test_an_image_that_is_missing_is_named_and_waited_for(node: NodeWorld) -> None:
    node.apply(a_volume("one", source=f"later-{node.namespace}"), a_machine("one"))
    node.wait_printable("one", "Provisioning")
    node.eventually(lambda: node.condition("dv", "one", "Ready").get("reason") == "SourceMissing")
    assert f"later-{node.namespace}" in node.condition("dv", "one", "Ready")["message"]
    from harness.node_world import an_image

    node.apply(an_image(f"later-{node.namespace}", node.digest))
    node.wait_printable("one", "Running")


def test_the_guest_is_told_exactly_what_its_dns_fields_say(node: NodeWorld) -> None:
    node.apply(
        a_volume("one"),
        a_machine("one", dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.53"], "searches": ["a.test", "b.test"]}),
    )
    node.wait_taken("one")
    guest = node.guest("one")
    # The lease is known outside before the guest has written down what it says.
    text = node.eventually(lambda: guest.attempt("grep -q ^nameserver /etc/resolv.conf && cat /etc/resolv.conf").output)
    assert [line.split()[1] for line in text.splitlines() if line.startswith("nameserver")] == ["192.0.2.53"]
    assert "search a.test b.test" in text


def test_fault_34_a_guest_that_is_not_ready_takes_no_new_connections_and_keeps_open_ones(node: NodeWorld) -> None:
    probe = {"tcpSocket": {"port": 7000}, "periodSeconds": 1, "failureThreshold": 1}
    service = a_service("one-tcp", selects="one", ports=(("TCP", 22), ("TCP", 2222)))
    node.apply(a_volume("one"), service, a_machine("one", readinessProbe=probe))
    node.eventually(lambda: node.condition("vmi", "one", "Ready").get("reason") == "ReadinessProbeFailing")
    address, guest = node.address_of("one-tcp"), node.guest("one")
    guest.serve("tcp", 2222)

    def become(*, ready: bool) -> None:
        start = "httpd -f -p 7000 -h /tmp >/dev/null 2>&1 & echo $! >/tmp/server"
        guest.run(start if ready else "kill $(cat /tmp/server)")
        node.eventually(lambda: node.status("vm", "one").get("ready", False) is ready)
        node.eventually(lambda: node.answers(address, 22) is ready)

    become(ready=True)
    with (
        socket.create_connection((address, 22), timeout=60) as one,
        socket.create_connection((address, 2222), timeout=60) as other,
    ):
        assert is_open(one)
        assert is_open(other)
        become(ready=False)
        assert is_open(one)
        assert is_open(other)
        node.stop_node()
        node.start_node()
        become(ready=True)
        become(ready=False)
        assert is_open(one)
        node.patch("service", "one-tcp", {"spec": {"ports": service["spec"]["ports"][1:]}})
        node.eventually(lambda: not is_open(one), what="the port was taken away")
        assert is_open(other)
        node.ask("one", "stop")
        node.eventually(lambda: not is_open(other), what="the guest was stopped")
    node.one_owner()


def is_open(connection: socket.socket) -> bool:
    """Return whether the guest still echoes what it hears over a connection."""
    word, heard = b"[still here]", b""
    try:
        connection.sendall(word)
        while word not in heard:
            part = connection.recv(100)
            if not part:
                return False
            heard += part
    except ConnectionError:
        return False
    return True


def test_a_failing_liveness_probe_ends_the_guest(node: NodeWorld) -> None:
    probe = {"httpGet": {"port": 9}, "periodSeconds": 1, "failureThreshold": 2}
    node.apply(a_volume("one"), a_machine("one", livenessProbe=probe))
    node.wait_printable("one", "CrashLoopBackOff")
