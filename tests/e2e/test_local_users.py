"""What other users of the host see and reach of a running product, and what its processes have of root's rights."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e import manifests
from harness import proc
from virtualserver.installation.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Generator

    from e2e.product import Product

STRANGER = 0x70000000 + 0x3FF_FFE
"""A number that nobody has."""

_READ = """
import json, os, socket, stat, sys
def reached(path):
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX) as it:
                it.connect(path)
        elif os.path.isdir(path):
            os.listdir(path)
        else:
            open(path, "rb").close()
    except OSError:
        return False
    return True
json.dump([path for path in json.load(sys.stdin) if reached(path)], sys.stdout)
"""

FOR_EVERYBODY = {
    "VERSION",
    "instance.json",  # ports, networks and numbers of the installation, no server's
    "accelerator.json",
    "pki",
    "pki/ca.crt",
    "pki/etcd-ca.crt",
    "pki/front-proxy-ca.crt",
    "pki/sa.pub",
}


@pytest.fixture(scope="module")
def server(product: Product) -> Generator[str]:
    """A running server."""
    product.apply(manifests.a_server("seen", tcp=[22]))
    product.wait_ready("seen")
    yield "seen"
    product.delete("vs", "seen")


def test_no_other_user_reads_what_servers_have(product: Product, server: str) -> None:
    """Fault 15: addresses, leases and logs were for every user's eyes; here even who knows each name sees none."""
    del server
    folders = (product.folder, product.run_folder)
    paths = [str(path) for folder in folders for path in folder.rglob("*") if not path.is_symlink()]
    assert len(paths) > 60
    become = ["setpriv", "--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups", "--"]
    done = subprocess.run(
        [*become, "/usr/bin/python3", "-c", _READ], input=json.dumps(paths), capture_output=True, text=True, check=True
    )
    reached = {Path(path) for path in json.loads(done.stdout)}
    found = {str(path.relative_to(folder)) for path in reached for folder in folders if path.is_relative_to(folder)}
    # A guest's QEMU reads its image by name; nobody can list the names.
    images = {name for name in found if name.startswith("images/sha256-")}
    sites = {name for name in found if "/" not in name and name.endswith(".yaml")}
    assert found - images - sites <= FOR_EVERYBODY


def test_only_the_node_and_the_supervisor_have_roots_rights(product: Product, server: str) -> None:
    """Fault 15, by what the kernel says of each running process."""
    uids = Installation.below(product.state, product.installation).record().uids
    assert uids is not None
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "operator"):
        proc.assert_powerless(product.process(name), user=getattr(uids, name.replace("-", "_")))
    status = proc.status_of(product.process("dnsmasq"))
    assert (set(status["Uid"].split()), status["NoNewPrivs"]) == ({str(uids.dnsmasq)}, "1")
    qemu = product.process(f"qemu default/{server}")
    user = int(proc.status_of(qemu)["Uid"].split()[0])
    assert user in uids.guests
    proc.assert_powerless(qemu, user=user)
    namespaces = {name: Path(f"/proc/{qemu}/ns/{name}").readlink() for name in ("mnt", "pid", "ipc", "net")}
    assert not set(namespaces.values()) & {Path(f"/proc/self/ns/{name}").readlink() for name in namespaces}
