"""What other users of the host see of a running product, and what its processes may do, on the host and in the API."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e import manifests
from harness import audit_log, proc
from harness.waiting import eventually
from virtualserver.controlplane import bootstrap
from virtualserver.installation.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Generator

    from e2e.product import Product

DEFINITION = "virtualmachines.kubevirt.io"
MACHINE = "/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines/{}"
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
    "links/console",  # who shows there who they are gets a link to the console
}


@pytest.fixture(scope="module")
def server(product: Product) -> Generator[str]:
    """A running server."""
    product.apply(manifests.a_server("seen", network={"public": True, "tcp": {"ports": [22]}}))
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
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "operator", "console"):
        proc.assert_powerless(product.process(name), user=getattr(uids, name.replace("-", "_")))
    status = proc.status_of(product.process("dnsmasq"))
    assert (set(status["Uid"].split()), status["NoNewPrivs"]) == ({str(uids.dnsmasq)}, "1")
    qemu = product.process(f"qemu default/{server}")
    user = int(proc.status_of(qemu)["Uid"].split()[0])
    assert user in uids.guests
    proc.assert_powerless(qemu, user=user)
    namespaces = {name: Path(f"/proc/{qemu}/ns/{name}").readlink() for name in ("mnt", "pid", "ipc", "net")}
    assert not set(namespaces.values()) & {Path(f"/proc/self/ns/{name}").readlink() for name in namespaces}


_BROKEN_OUT = """
import json, os, socket, sys
wanted = json.load(sys.stdin)
def tried(what, *arguments):
    try:
        what(*arguments)
    except OSError as error:
        return type(error).__name__
    return "done"
def dial(port):
    socket.create_connection(("127.0.0.1", port), timeout=3).close()
def call(path):
    with socket.socket(socket.AF_UNIX) as it:
        it.connect(path)
result = {}
for path in wanted["files"]:
    result[path] = tried(os.open, path, os.O_RDONLY)
for path in wanted["sockets"]:
    result[path] = tried(call, path)
for port in wanted["ports"]:
    result[str(port)] = tried(dial, port)
result["processes"] = sorted(name for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid())
json.dump(result, sys.stdout)
"""


def test_who_breaks_out_of_a_guest_has_its_disk_and_nobody_to_talk_to(product: Product, server: str) -> None:
    """An attack of our own: code as QEMU's user in QEMU's namespaces, which is what an escape from a guest gives."""
    qemu = product.process(f"qemu default/{server}")
    user = proc.status_of(qemu)["Uid"].split()[0]
    own = [path for path in product.folder.glob("disks/*") if path.stat().st_uid == int(user)]
    run: str = product.get("vmi", server)["metadata"]["uid"]
    others = [path for path in product.folder.glob("disks/*") if path not in own]
    files = [*others, product.folder / "claims.sqlite", product.folder / "kubeconfig", *product.folder.glob("seeds/*")]
    files += [product.run_folder / "fabric/leases", Path("/dev/mem"), Path("/etc/shadow")]
    files = [path for path in files if path.exists() and path.stat().st_uid != int(user)]
    sockets = [path for path in product.run_folder.rglob("*.sock") if run not in path.parts]
    ports = list(Installation.below(product.state, product.installation).record().ports.values())
    enter = ["nsenter", "--target", str(qemu), "--mount", "--pid", "--ipc", "--net", "--wd=/", "setpriv"]
    become = ["--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--"]
    wanted = {"files": list(map(str, files)), "sockets": list(map(str, sockets)), "ports": ports}
    done = subprocess.run(
        [*enter, *become, "/usr/bin/python3", "-c", _BROKEN_OUT],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found.pop("processes") == ["1"], "itself"
    assert sockets
    assert ports
    assert len(files) >= 4
    assert {what: how for what, how in found.items() if how == "done"} == {}


_APPLIED = "what server-side apply creates is asked as create and logged as patch"
UNUSED = {
    **{f"operator: create {one}": _APPLIED for one in ("secrets", "services")},
    "operator: create virtualmachines.kubevirt.io": _APPLIED,
    "operator: create datavolumes.cdi.kubevirt.io": _APPLIED,
    "node: create services": _APPLIED,
    "node: create apiservices.apiregistration.k8s.io": _APPLIED,
    **{f"operator: {verb} leases.coordination.k8s.io": "Leases are not logged" for verb in ("get", "create", "patch")},
    "operator: get secrets": "of a server whose manifest names a Secret",
    "operator: delete secrets": "of a server that needs it no more",
    "operator: patch events": "where an Event repeats",
    "node: patch events": "where an Event repeats",
    "node: get virtualservers.virtualservers.coreweave.com": "where an owner is not known yet",
    "node: get datavolumes.cdi.kubevirt.io": "where a disk is not known yet",
    "node: create datavolumes.cdi.kubevirt.io": "of a machine that brings its disks along",
    "node: delete virtualmachineinstances.kubevirt.io": "when a machine is stopped",
    "node: get virtualmachineinstances.kubevirt.io": "when a machine is stopped by its subresource",
    "node: patch persistentvolumeclaims": "of an image",
    "node: patch endpointslices.discovery.k8s.io": "where who stands behind a Service changes",
    "node: delete endpointslices.discovery.k8s.io": "where a Service loses a family or its selector",
    **{
        f"operator: {verb} endpointslices.discovery.k8s.io": "of a server with a floating address"
        for verb in ("create", "patch", "delete")
    },
    **{
        f"operator: patch {wait}.virtualservers.coreweave.com": "where an apply of Terraform waits for a server"
        for wait in ("virtualserverwaits", "virtualserverwaits/status")
    },
    "operator: delete virtualmachines.kubevirt.io": "where a machine has to be made anew",
    "operator: delete datavolumes.cdi.kubevirt.io": "where a disk is not kept after all",
}
"""Rights that the life of one server does not show in the audit log, and what they are there for."""


def granted() -> set[str]:
    """Return what the roles of the operator and the node allow."""
    found: set[str] = set()
    for role in bootstrap.load():
        who = role["metadata"]["name"].removeprefix("virtualserver:")
        if role["kind"] in ("Role", "ClusterRole") and who in ("operator", "node"):
            for rule in role["rules"]:
                for group, resource, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"]):
                    found.add(f"{who}: {verb} {_name(resource, group)}")
    return found


def used(product: Product) -> tuple[set[str], list[str]]:
    """Return what the audit log says that operator and node did, and what they were refused for want of a right."""
    done: set[str] = set()
    forbidden: list[str] = []
    for entry in audit_log.entries(product.folder / "logs/audit"):
        about: dict[str, Any] = entry.get("objectRef") or {}
        status: dict[str, Any] = entry.get("responseStatus") or {}
        who: str = entry["user"]["username"].removeprefix("virtualserver:")
        if who not in ("operator", "node") or "resource" not in about:
            continue
        resource: str = about["resource"] + (f"/{about['subresource']}" if about.get("subresource") else "")
        done.add(f"{who}: {entry['verb']} {_name(resource, about.get('apiGroup', ''))}")
        message: str = status.get("message", "")
        is_forbidden = entry.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"
        if is_forbidden or "AdmissionPolicy" in message:
            forbidden.append(f"{who}: {entry['verb']} {entry['requestURI']}: {message}")
    return done, forbidden


def _name(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def test_each_component_uses_its_rights_and_is_refused_nothing(product: Product, server: str) -> None:
    """Fault 15: what a key may do is what its component does; see also tests/integration/controlplane/test_climbing."""
    product.kubectl("patch", "vs", server, "--type=merge", "-p", '{"spec": {"network": {"tcp": {"ports": [22, 80]}}}}')
    product.kubectl("patch", "vs", server, "--type=merge", "-p", '{"spec": {"network": {"tcp": {"ports": []}}}}')
    eventually(lambda: not product.get("service", f"{server}-tcp"), what="the Service to go")
    product.kubectl("get", "--raw", f"/apis/apiextensions.k8s.io/v1beta1/customresourcedefinitions/{DEFINITION}")
    product.try_kubectl("replace", "--raw", f"{MACHINE.format(server)}/start", "-f", "-", stdin="{}")
    product.delete("vs", server)
    eventually(lambda: not product.get("vmi", server), what="its machine to go")
    done, forbidden = used(product)
    assert forbidden == []
    assert granted() - done - set(UNUSED) == set()
    assert set(UNUSED) <= granted()
