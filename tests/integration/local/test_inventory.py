"""Everything that an installation makes on a machine is listed while it is there, and gone after a purge (fault 44)."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import virtualserver
from harness import fabric_world as world
from harness.reports import Unseen
from harness.waiting import eventually
from virtualserver.controlplane.components import Component, FileProbe
from virtualserver.controlplane.supervisor import processes
from virtualserver.installation import ranges
from virtualserver.installation.installation import Installation
from virtualserver.local import down, inventory

if TYPE_CHECKING:
    from collections.abc import Generator


KINDS = {
    "process",
    "cgroup",
    "link",
    "namespace",
    "nftables table",
    "route",
    "setting",
    "tap",
    "file",
}
"""What an installation makes; entries of the namespace (`tap` for all of them) go with it."""
SLEEPS = (sys.executable, "-c", "import time; time.sleep(1000)")


class Made:
    """One thing of each kind, as an installation makes it.

    Attributes:
        installation: Whose it is.
        children: Its processes.
    """

    def __init__(self, root: Path) -> None:
        self.installation = installation = Installation("t9", root, Path("/run/virtualserver"))
        with installation.changing() as record:
            record.identifier = "0000a9"
            record.ranges = ranges.encode(ranges.choose(asyncio.run(ranges.networks_in_use())))
        installation.change_lock.touch()
        plane = inventory.data_plane(installation)
        assert plane is not None

        async def start() -> None:
            await plane.start()
            await plane.set_link("guest", world.a_link(2))

        asyncio.run(start())
        (group,) = (Path("/sys/fs/cgroup/virtualserver-t9/of-a-guest-that-nobody-knows"),)
        group.mkdir(parents=True)
        machine = installation.machines_run / "lost"
        machine.mkdir(parents=True)
        component = Component("etcd", "", SLEEPS, {}, 0, FileProbe(machine))
        self.children = [
            processes.spawn(component, processes.Records(installation.processes), installation.log("etcd")),
            subprocess.Popen([*SLEEPS, "-pidfile", str(machine / "pid")]),
        ]

    def items(self) -> set[tuple[str, str]]:
        """Return kind and name of what the inventory lists, without files within the folders."""
        return {(item.kind, item.name) for item in inventory.of(self.installation)}

    def have_ended(self) -> bool:
        """Return whether all processes have ended."""
        return all(child.poll() is not None for child in self.children)


@pytest.fixture
def made(tmp_path: Path) -> Generator[Made]:
    with world.a_machine():
        world.internet()
        world.sh("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
        made = Made(tmp_path)
        try:
            yield made
        finally:
            for child in made.children:
                child.kill()
                child.wait()
            down.stop(made.installation, report=Unseen(), purged=True)  # a test may have purged another one
            for group in Path("/sys/fs/cgroup").glob("virtualserver-t9/*"):
                group.rmdir()
                group.parent.rmdir()


def assert_gone(made: Made) -> None:
    """Assert that nothing is there, as the machine's own programs tell it."""
    eventually(made.have_ended, what="all processes have ended")
    assert inventory.of(made.installation) == []
    assert "vsh-" not in world.sh("ip", "-brief", "link", "show")
    assert "vs-t9" not in world.sh("ip", "netns", "list")
    assert "vs-t9" not in world.sh("nft", "list", "tables")
    assert Path("/proc/sys/net/ipv4/conf", world.UPLINK, "forwarding").read_text() == "0\n"
    assert not Path("/sys/fs/cgroup/virtualserver-t9").exists()
    left = [path for path in Path("/run").rglob("*virtualserver*") if path != made.installation.run_root]
    assert left == []
    assert [path for path in made.installation.root.iterdir() if path.name != ".run"] == []


def test_fault_44_each_kind_is_listed_and_a_purge_leaves_none(made: Made) -> None:
    installation = made.installation
    found = made.items()
    assert {kind for kind, _ in found} >= KINDS
    assert {
        ("process", "etcd"),
        ("process", "dnsmasq"),
        ("process", "qemu lost"),
        ("cgroup", "/sys/fs/cgroup/virtualserver-t9"),
        ("cgroup", "/sys/fs/cgroup/virtualserver-t9/of-a-guest-that-nobody-knows"),
        ("link", installation.record().link),
        ("namespace", installation.namespace),
        ("nftables table", f"inet {installation.namespace}"),
        ("file", str(installation.state)),
        ("file", str(installation.run)),
        ("file", str(installation.change_lock)),
    } <= found
    down.stop(installation, report=Unseen(), purged=True)
    assert_gone(made)


def test_fault_44_what_a_lost_state_folder_left_is_listed_and_goes_too(made: Made) -> None:
    installation = made.installation
    shutil.rmtree(installation.state)
    found = made.items()
    assert {
        ("process", "dnsmasq"),
        ("process", "qemu lost"),
        ("cgroup", "/sys/fs/cgroup/virtualserver-t9"),
        ("link", "vsh-0000a9"),
        ("namespace", "vs-t9"),
        ("nftables table", "inet vs-t9"),
    } <= found
    down.stop(installation, report=Unseen(), purged=True)
    assert_gone(made)


def test_fault_44_processes_whose_folders_are_all_lost_are_listed_and_ended(made: Made, tmp_path: Path) -> None:
    """As `rm -r` of the folder that VS_STATE names leaves them."""
    installation = Installation.below(tmp_path / "lost", "t9")
    installation.create()
    with installation.changing() as record:
        record.identifier = made.installation.record().identifier
    program = tmp_path / "etcd"
    program.symlink_to(sys.executable)
    line = (str(program), *SLEEPS[1:], f"--data-dir={installation.etcd_data}")
    node = (sys.executable, "-m", "virtualserver.node", "--instance", "t9", "--wait")
    ours = {"PYTHONPATH": str(Path(virtualserver.__file__).parents[1]), **installation.environment()}
    components = {
        name: Component(name, "", argv, environment, 0, FileProbe(tmp_path), loads_after=("never",))
        for name, argv, environment in (("etcd", line, {}), ("node", node, ours))
    }
    children = {
        name: processes.spawn(component, processes.Records(installation.processes), tmp_path / "log")
        for name, component in components.items()
    }
    try:
        shutil.rmtree(installation.root)
        # Until it is the program that it becomes, a process bears neither its name nor its environment.
        eventually(lambda: len(processes.strays(installation)) == 2, what="they run")
        found = processes.strays(installation)
        assert {name: process.pid for name, process in found.items()} == {
            name: child.pid for name, child in children.items()
        }
        listed = {(item.name, item.detail) for item in inventory.of(installation) if item.kind == "process"}
        assert listed >= {(name, f"pid {child.pid}, its record was lost") for name, child in children.items()}
        other = Installation.below(tmp_path / "other", "t9")
        assert processes.strays(other) == {}
        down.stop(installation, report=Unseen(), purged=True)
        assert [child.wait(30) for child in children.values()]
    finally:
        for child in children.values():
            child.kill()
            child.communicate()


def test_fault_44_the_file_of_a_namespace_that_is_gone_is_listed_and_removed(made: Made) -> None:
    down.stop(made.installation, report=Unseen(), purged=True)
    file = Path("/run/netns/vs-t9")
    file.parent.mkdir(exist_ok=True)
    file.touch()
    assert ("file", str(file)) in made.items()
    down.stop(made.installation, report=Unseen(), purged=True)
    assert_gone(made)
