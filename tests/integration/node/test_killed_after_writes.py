"""Operator or node is killed after each of its writes in turn: what comes out is what an undisturbed life leaves.

A write is one to the API, or one of the node's records of what it gave to whom (claims.sqlite).

A life is: a server is created and deleted; and, of two servers that run, an address floats to the one, moves to the
other, that one is put onto a VPC, comes onto it with its next start, and all of it is taken back.

The process is started again each time and again killed after its next write, so that it never makes two in one life.
Objects, allocations, elements, links, leases, files and processes are counted before, between and after.
"""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import killed
from harness.node_world import a_service
from harness.virtualservers import a_manifest
from virtualserver.api import names
from virtualserver.fabric.dhcp.leases import parse_leases
from virtualserver.fabric.kernel import elements
from virtualserver.kube import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(1200)

NAMESPACE = "killed"
KINDS = "vs,vm,vmi,dv,pvc,secret,service,endpointslices"
NAMES = "KIND:.kind,NAME:.metadata.name,OWNER:.metadata.ownerReferences[*].name"
CARDS = ("spec", "template", "spec", "networks")
A_VPC = {
    "apiVersion": "k8s.cni.cncf.io/v1",
    "kind": "NetworkAttachmentDefinition",
    "metadata": {"name": "blue"},
    "spec": {"config": '{"cniVersion": "0.3.1", "type": "bridge"}'},
}


@pytest.fixture(scope="module")
def world(running_node: NodeWorld) -> Iterator[NodeWorld]:
    """The node that tests share, which runs again afterwards; operator and node are started by each test."""
    running_node.namespace = NAMESPACE
    running_node.api.kubectl("create", "namespace", NAMESPACE)
    running_node.stop_node()
    yield running_node
    running_node.start_node()


def recorded(world: NodeWorld) -> int:
    """Return how often the node was killed after it had written down what it gives, or takes back."""
    return world.log.count(killed.RECORD)


class Lives:
    """A component that lives again and again."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.deaths = 0
        self._start = start
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def _live(self) -> None:
        while not self._ended.is_set():
            process = self._start()
            while process.poll() is None and not self._ended.wait(0.02):
                pass
            if process.poll() == -signal.SIGKILL:
                self.deaths += 1
            else:
                process.terminate()
                process.wait(30)

    def end(self) -> None:
        """End it for good; it is not killed if it lives."""
        self._ended.set()
        self._thread.join()


@contextlib.contextmanager
def alive(world: NodeWorld, component: str, *, killed: bool) -> Generator[Lives]:
    """Run the operator or the node.

    Args:
        world: Where.
        component: Which one.
        killed: Whether each of its lives ends after its first write.
    """
    command = world.operator_command if component == "operator" else world.node_command
    harness = ("harness.killed", NAMESPACE, "1") if killed else ()
    lives = Lives(lambda: world.run(component, sys.executable, "-m", *harness, *command))
    try:
        yield lives
    finally:
        lives.end()


def census(world: NodeWorld) -> Counter[str]:
    """Count all that there is of a server, in the API and on the host, by what it is and not by its name."""
    found: Counter[str] = Counter()
    lines = world.api.kubectl("-n", NAMESPACE, "get", KINDS, "-o", "name").splitlines()
    found.update(f"object {line.split('/')[0]}" for line in lines)
    found.update(f"allocation {purpose.split('/')[0]}" for purpose in _allocations(world))
    namespace = ("ip", "netns", "exec", world.installation.namespace)
    ruleset = subprocess.run((*namespace, "nft", "--stateless", "list", "ruleset"), check=True, capture_output=True)
    found.update(f"element {entry.kind}" for entry in elements.elements(ruleset.stdout.decode()))
    links = subprocess.run((*namespace, "ip", "-o", "link"), check=True, capture_output=True, text=True).stdout
    found["links"] = len(links.splitlines())
    routes = subprocess.run((*namespace, "ip", "route"), check=True, capture_output=True, text=True).stdout
    found["routes"] = len(routes.splitlines())
    for folder in ("machines", "disks", "seeds"):
        found.update(f"file {folder} {name}" for name in _files(world.installation.state / folder))
    for folder in ("machines", "fabric"):
        found.update(f"running {folder} {name}" for name in _files(world.installation.run / folder))
    found["machines"] = _running(world.installation.state, b"qemu-system")
    found["DHCP servers"] = _running(world.installation.run, b"dnsmasq")
    found["leases"] = len(parse_leases((world.installation.fabric_run / "leases").read_text()))
    return found


def _allocations(world: NodeWorld) -> list[str]:
    uri = f"file:{world.installation.allocations}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as claims:
        return [purpose for (purpose,) in claims.execute("SELECT purpose FROM claims")]


def _files(folder: Path) -> list[str]:
    """Return the files below a folder, with one word for each UID, tap, address and number."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
    return [re.sub(r"[0-9a-f-]{36}|vst[0-9a-f]+|\d+", "N", name) for name in names]


def _running(folder: Path, program: bytes) -> int:
    """Return how many processes of a program name a folder in their command line."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        found += program in line and bytes(folder) + b"/" in line
    return found


def by_name(world: NodeWorld) -> Counter[str]:
    """Count as `census`, and name each object with its owner, what floats where, and each network card in its place."""
    found = census(world)
    found.update(world.api.kubectl("-n", NAMESPACE, "get", KINDS, "-o", f"custom-columns={NAMES}").splitlines())
    ruleset = world.in_namespace("nft", "--stateless", "list", "ruleset")
    found.update(f"{one} {value}" for one, value in elements.elements(ruleset).items() if "floating" in one.kind)
    told = world.condition("service", "fip", names.FLOATS)
    found.update([f"fip: {told.get('status')} {told.get('message')}"])
    for name in ("left", "right"):
        found.update([f"{name} has {fields.mapping(world.status('vs', name), 'network').get('floatingIPs')}"])
        cards = fields.items(world.status("vmi", name), "interfaces")
        found.update([f"{name} has {[(card['name'], card['mac']) for card in cards]}"])
        found.update([f"{name} is to have {len(fields.items(world.get('vm', name), *CARDS))} cards"])
        found.update([f"{name} is to be started again: {world.condition('vm', name, 'RestartRequired').get('status')}"])
    return found


def settled(
    world: NodeWorld,
    expected: Counter[str] | None = None,
    *,
    count: Callable[[NodeWorld], Counter[str]] = census,
) -> Counter[str]:
    """Return the count once it is as expected, or stays the same for three seconds where nothing is expected."""
    last: list[Counter[str]] = [Counter()]

    def is_so() -> bool:
        before, last[0] = last[0], count(world)
        if expected is None:
            time.sleep(3)
            return before == last[0]
        return last[0] == expected

    def differs() -> str:
        want = expected or Counter()
        return f"too many: {last[0] - want}, missing: {want - last[0]}: {world.log[-1500:]}"

    world.eventually(is_so, seconds=180, what=differs)
    return last[0]


def a_server(name: str, **changes: Any) -> dict[str, Any]:
    """Return a server of the tests' image, with a port of TCP and one of UDP."""
    network = {"public": True, "tcp": {"ports": [22]}, "udp": {"ports": [53]}}
    manifest = a_manifest(name, namespace=NAMESPACE, **{"network": network, "initializeRunning": True, **changes})
    manifest["spec"]["resources"]["memory"] = "96Mi"
    manifest["spec"]["storage"]["root"] |= {
        "size": "64Mi",
        "source": {"pvc": {"namespace": "vd-images", "name": "tiny"}},
    }
    return manifest


def is_ready(world: NodeWorld, name: str) -> None:
    """Wait until a server is ready."""
    world.eventually(
        lambda: world.condition("vs", name, "Ready").get("status") == "True",
        what=lambda: f"{name}: {world.status('vs', name)} {world.log[-1500:]}",
    )


def lived(world: NodeWorld, name: str) -> Counter[str]:
    """Create a server, and return what there is once it is ready and nothing moves any more."""
    world.apply(a_server(name))
    is_ready(world, name)
    return settled(world)


def gone(world: NodeWorld, *servers: str) -> None:
    """Delete servers and wait until no object of them is there."""
    world.api.kubectl("-n", NAMESPACE, "delete", "vs", *servers, "--wait=false")
    world.eventually(
        lambda: (
            not world.api.kubectl("-n", NAMESPACE, "get", "vs,vm,vmi,dv,pvc,service", "-o", "name").replace(
                "service/kubernetes", ""
            )
        ),
        what=lambda: world.api.kubectl("-n", NAMESPACE, "get", "vs,vm,vmi,dv,pvc,service"),
    )


def test_a_life_is_the_same_when_each_write_is_the_last_of_a_process(world: NodeWorld) -> None:
    with alive(world, "node", killed=False), alive(world, "operator", killed=False):
        nothing = settled(world)
        calm = lived(world, "calm")
        assert calm["object virtualmachineinstance.kubevirt.io"] == calm["machines"] == 1
        gone(world, "calm")
        settled(world, nothing)
    for dying, other in (("operator", "node"), ("node", "operator")):
        with alive(world, other, killed=False):
            before = recorded(world)
            with alive(world, dying, killed=True) as created:
                world.apply(a_server(dying))
                is_ready(world, dying)
            given = recorded(world)
            with alive(world, dying, killed=False):
                is_ready(world, dying)
                settled(world, calm)
            with alive(world, dying, killed=True):
                gone(world, dying)
            with alive(world, dying, killed=False):
                settled(world, nothing)
        assert created.deaths >= 2, f"the {dying} was to be killed after each of its writes"
        if dying == "node":
            assert given - before >= 5, "and after each record of what it gives"
            assert recorded(world) > given, "and after it had recorded that they are free"


def network(world: NodeWorld, name: str, **changed: Any) -> None:
    """Change the network of a server."""
    world.patch("vs", name, {"spec": {"network": changed}})


def floats(world: NodeWorld) -> None:
    """An address floats to the left one."""
    network(world, "left", floatingIPs=[{"serviceName": "fip"}])
    world.eventually(lambda: has_floating(world, "left"), what=lambda: f"it floats: {world.log[-1500:]}")


def moves(world: NodeWorld) -> None:
    """The address goes to the right one, which has waited for it."""
    network(world, "right", floatingIPs=[{"serviceName": "fip"}])
    network(world, "left", floatingIPs=[])
    world.eventually(lambda: has_floating(world, "right"), what=lambda: f"it moves: {world.log[-1500:]}")


def joins(world: NodeWorld) -> None:
    """The right one is put onto a VPC."""
    network(world, "right", vpcs=[{"name": "blue"}])
    is_to_have(world, 2)


def leaves(world: NodeWorld) -> None:
    """All is taken back from the right one."""
    network(world, "right", vpcs=[], floatingIPs=[])
    is_to_have(world, 1)


def starts(world: NodeWorld) -> None:
    """The right one starts again."""
    before = world.get("vmi", "right")["metadata"]["uid"]
    world.delete("vmi", "right")
    world.eventually(lambda: world.get("vmi", "right").get("metadata", {}).get("uid") not in (None, before))
    is_ready(world, "right")


def is_to_have(world: NodeWorld, cards: int) -> None:
    """Wait until the right one's machine has so many network cards from its next start on."""
    world.eventually(lambda: len(fields.items(world.get("vm", "right"), *CARDS)) == cards, what=f"{cards} cards")


def has_floating(world: NodeWorld, name: str) -> bool:
    """Return whether a server says that it has a floating address."""
    return bool(fields.mapping(world.status("vs", name), "network").get("floatingIPs"))


def test_a_move_is_the_same_when_each_write_is_the_last_of_a_process(world: NodeWorld) -> None:
    steps = (floats, moves, joins, starts, leaves, starts)
    with alive(world, "node", killed=False), alive(world, "operator", killed=False):
        world.apply(A_VPC, a_service("fip", ports=(("TCP", 1),)))
        servers = [a_server(name, network={"public": False}, runStrategy="Always") for name in ("left", "right")]
        world.apply(*servers)
        for name in ("left", "right"):
            is_ready(world, name)
        calm = [settled(world, count=by_name)]
        for step in steps:
            step(world)
            calm.append(settled(world, count=by_name))
    assert calm[-1] == calm[0], "all of it is taken back"
    assert len({str(sorted(one.items())) for one in calm}) == len(steps), "and each step is seen"
    whole = list(zip(steps, calm[1:], strict=True))
    # The operator has no part in a start.
    for dying, other, life in (("operator", "node", [*whole[:3], (leaves, calm[0])]), ("node", "operator", whole)):
        with alive(world, other, killed=False), alive(world, dying, killed=True) as lives:
            written = recorded(world)
            for step, expected in life:
                before = lives.deaths
                step(world)
                settled(world, expected, count=by_name)
                world.one_owner()
                world.eventually(lambda n=before: lives.deaths > n, seconds=10, what=f"the {dying} to die of a write")
            # Of the network card's MAC and tap; that they are free it records once nobody looks at the machine.
            assert recorded(world) - written >= (2 if dying == "node" else 0)
    with alive(world, "node", killed=False), alive(world, "operator", killed=False):
        world.delete("service", "fip")
        world.delete("network-attachment-definitions", "blue")
        gone(world, "left", "right")
