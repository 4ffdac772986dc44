"""A guest that fills its disk, on the file system that the control plane writes to as well."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.node_world import a_machine, a_node, a_volume
from virtualserver.node.events import STANDS_STILL

if TYPE_CHECKING:
    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)


def free(node: NodeWorld) -> int:
    """Return the bytes that are left to a process without privileges."""
    told = os.statvfs(node.installation.state)
    return told.f_bavail * told.f_frsize


def test_a_guest_that_fills_the_file_system_stands_still_before_the_control_plane_does() -> None:
    """Fault 43: etcd ended, and nobody could be served, not even the offender's deletion."""
    with a_node("full", room="1300m") as node:
        node.apply(*(a_volume(name, size="4Gi") for name in ("fills", "rests")), a_machine("fills"), a_machine("rests"))
        for name in ("fills", "rests"):
            node.wait_taken(name)
        node.guest("fills").run("(dd if=/dev/zero of=/dev/vda bs=1M count=900; echo $? >/tmp/done) >/dev/null 2>&1 &")
        node.eventually(lambda: node.condition("vmi", "fills", "Ready").get("reason") == STANDS_STILL)
        assert "it goes on when there is room" in node.condition("vmi", "fills", "Ready")["message"]
        assert free(node) > 64 << 20
        node.api.kubectl("-n", node.namespace, "create", "configmap", "written")
        assert node.guest("rests").run("echo here") == "here"

        node.stop_node()
        node.start_node()
        assert node.condition("vmi", "fills", "Ready")["reason"] == STANDS_STILL

        subprocess.run(["mount", "-o", "remount,size=3g", node.installation.root], check=True)
        node.eventually(lambda: node.condition("vmi", "fills", "Ready").get("status") == "True")
        node.guest("fills").run("while ! [ -e /tmp/done ]; do sleep 0.1; done", seconds=300)
        node.delete("vm,dv", "--all")
