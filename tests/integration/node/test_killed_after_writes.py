"""Operator or node is killed after each of its writes in turn: what comes out is what an undisturbed life leaves.

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

from harness.virtualservers import a_manifest
from virtualserver.fabric.kernel import elements

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(1200)

NAMESPACE = "killed"
KINDS = "vs,vm,vmi,dv,pvc,secret,service,endpointslices"


@pytest.fixture
def world(running_node: NodeWorld) -> Iterator[NodeWorld]:
    """The node that tests share, which runs again afterwards; its operator is started by each test."""
    running_node.namespace = NAMESPACE
    running_node.api.kubectl("create", "namespace", NAMESPACE)
    running_node.stop_node()
    yield running_node
    running_node.start_node()


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
    found["machines"] = _machines(world)
    return found


def _allocations(world: NodeWorld) -> list[str]:
    uri = f"file:{world.installation.allocations}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as claims:
        return [purpose for (purpose,) in claims.execute("SELECT purpose FROM claims")]


def _files(folder: Path) -> list[str]:
    """Return the files below a folder, with one word for each UID, tap, address and number."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
    return [re.sub(r"[0-9a-f-]{36}|vst[0-9a-f]+|\d+", "N", name) for name in names]


def _machines(world: NodeWorld) -> int:
    own = str(world.installation.state).encode()
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        found += b"qemu-system" in line and own in line
    return found


def settled(world: NodeWorld, expected: Counter[str] | None = None) -> Counter[str]:
    """Return the census once it is as expected, or stays the same for three seconds where nothing is expected."""
    last: list[Counter[str]] = [Counter()]

    def is_so() -> bool:
        before, last[0] = last[0], census(world)
        if expected is None:
            time.sleep(3)
            return before == last[0]
        return last[0] == expected

    def differs() -> str:
        want = expected or Counter()
        return f"too many: {last[0] - want}, missing: {want - last[0]}: {world.log[-1500:]}"

    world.eventually(is_so, seconds=180, what=differs)
    return last[0]


def a_server(name: str) -> dict[str, Any]:
    """Return a server of the tests' image, with a port of TCP and one of UDP."""
    network = {"public": True, "tcp": {"ports": [22]}, "udp": {"ports": [53]}}
    manifest = a_manifest(name, namespace=NAMESPACE, network=network, initializeRunning=True)
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


def gone(world: NodeWorld, name: str) -> None:
    """Delete a server and wait until no object of it is there."""
    world.api.kubectl("-n", NAMESPACE, "delete", "vs", name, "--wait=false")
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
            with alive(world, dying, killed=True) as created:
                world.apply(a_server(dying))
                is_ready(world, dying)
            with alive(world, dying, killed=False):
                is_ready(world, dying)
                settled(world, calm)
            with alive(world, dying, killed=True):
                gone(world, dying)
            with alive(world, dying, killed=False):
                settled(world, nothing)
        assert created.deaths >= 2, f"the {dying} was to be killed after each of its writes"
