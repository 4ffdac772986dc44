"""What is deleted leaves nothing; what is not deleted stays as it is."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.manifests import a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from e2e.internet import Internet
    from e2e.product import Product

KINDS = ("vm", "vmi", "datavolume", "pvc", "service", "secret", "endpointslices")


def _text(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _told(*command: str) -> set[str]:
    return set(_text(*command).splitlines())


def _rules(ruleset: str) -> set[str]:
    """Return the lines of a ruleset that speak of servers."""
    # What the rules themselves count of a NIC is forgotten a minute after its last packet.
    static = re.sub(r"\n\t(?:set|map) \S+ \{\n(?:\t\t.*\n)*?\t\tflags [^\n]*dynamic(?:.*\n)*?\t\}", "", ruleset)
    # The machine's own addresses are in rules too, and change when another instance starts or stops beside us.
    return {line.strip() for line in static.splitlines() if not re.match(r"\s*ip daddr (?:!= )?\{", line)}


def _on_the_host(product: Product) -> dict[str, set[str]]:
    """Return what is on the host because of servers, by the kernel's and the file system's own word."""
    inside = ("ip", "netns", "exec", product.namespace)
    rules = _rules(_text(*inside, "nft", "--stateless", "list", "ruleset"))
    return {
        "rules": rules,
        "links": {line.split(":")[1] for line in _told(*inside, "ip", "-o", "link")},
        "addresses": {" ".join(line.split()[1:4]) for line in _told(*inside, "ip", "-o", "-4", "address")},
        "routes": _told(*inside, "ip", "route", "show", "table", "all"),
        "neighbours": _told(*inside, "ip", "neighbour", "show", "proxy"),
        "files": {
            str(path)
            for folder in (product.folder / "disks", product.folder / "machines", product.folder / "seeds")
            for path in folder.rglob("*")
        }
        | {str(path) for path in product.run_folder.rglob("*") if {"fabric", "machines"} & {*path.parts}},
        "leases": {
            line
            for path in product.run_folder.rglob("*lease*")
            if path.is_file()
            for line in path.read_text().splitlines()
        },
        "processes": {
            path.parent.name
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if b"qemu-system" in (line := _read(path)) and bytes(product.folder) in line
        },
        # An element of a set stands among others in a line of its own.
        "elements": {word.strip("{},;") for line in rules for word in line.split()},
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_deleted_server_leaves_nothing_and_its_neighbour_stays(product: Product, client: Internet) -> None:
    network = {"public": True, "tcp": {"ports": [22]}, "udp": {"ports": [53]}}
    product.apply(a_server("stays", network=network))
    kept = product.wait_ready("stays")["status"]["network"]["externalIP"]
    machine = product.process("qemu default/stays")
    try:
        before = _on_the_host(product)
        product.apply(
            a_server("goes", network=network),
            a_server("goes-attached", network={"public": False, "directAttachLoadBalancerIP": True}),
        )
        networks = [product.wait_ready(name)["status"]["network"] for name in ("goes", "goes-attached")]
        during = _on_the_host(product)
        for kind in ("rules", "links", "routes", "files", "leases", "processes"):
            assert during[kind] - before[kind], f"no {kind} of theirs: what is compared has no meaning"
        product.delete("vs", "goes", "goes-attached")
        for kind in KINDS:
            eventually(
                lambda kind=kind: (
                    not [entry for entry in product.objects(kind) if entry["metadata"]["name"].startswith("goes")]
                ),
                what=f"every {kind} of theirs to go",
                seconds=30,
            )

        def is_as_before() -> bool:
            now = _on_the_host(product)
            left = {kind: now[kind] ^ before[kind] for kind in before if now[kind] != before[kind]}
            assert not left, left
            return True

        eventually(is_as_before, what="the host to be as it was", seconds=30)
        for network in networks:
            for address in (network["externalIP"], network["internalIP"]):
                assert client.probe("tcp", address, 22)["result"] != "open"
        assert product.process("qemu default/stays") == machine
        assert product.get("vs", "stays")["status"]["network"]["externalIP"] == kept
        assert client.probe("tcp", kept, 22)["result"] == "open"
    finally:
        product.delete("vs", "stays", "goes", "goes-attached")


def test_faults_47_and_48_a_kept_disk_comes_back_with_what_is_on_it(product: Product) -> None:
    product.apply(a_server("keeper", network={"public": False}))
    product.wait_ready("keeper")
    product.guest("keeper").run("echo kept >/dev/vda; sync")
    disk = product.folder / "disks" / f"{product.get('datavolume', 'keeper')['metadata']['uid']}.qcow2"
    assert disk.exists()
    asked = product.attempt("delete", "keeper", stdin="n\n")
    assert asked.returncode == 1 and "goes   its disk (128Mi), with all that is on it" in asked.stderr
    assert "is there for the next server keeper" in product.vs("delete", "keeper", "--keep-disk", "--yes")
    try:
        assert not product.get("vm", "keeper"), "it comes back when the machine is gone"
        eventually(lambda: not product.get("vmi", "keeper"), what="the guest to go", seconds=30)
        assert product.get("datavolume", "keeper")["status"]["phase"] == "Succeeded"
        assert product.get("pvc", "keeper")
        product.apply(a_server("keeper", network={"public": False}))
        product.wait_ready("keeper")
        assert product.guest("keeper").run("head -c 4 /dev/vda") == "kept"
        assert json.loads(product.vs("delete", "keeper", "--yes", "-o", "json"))["diskKept"]
        assert product.get("datavolume", "keeper"), "its mark keeps it for the next one too"
    finally:
        product.delete("vs", "keeper")
        product.delete("datavolume", "keeper")
    eventually(lambda: not product.get("pvc", "keeper"), what="the claim to go with its DataVolume", seconds=30)
    eventually(lambda: not disk.exists(), what="the disk to go with its claim", seconds=30)
