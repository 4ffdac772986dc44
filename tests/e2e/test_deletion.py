"""What is deleted leaves nothing; what is not deleted stays as it is."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from e2e.manifests import a_server
from e2e.product import Product, eventually

if TYPE_CHECKING:
    from e2e.internet import Internet

KEEP = "virtualservers.coreweave.com/keep-disk"


def _inventory(product: Product) -> set[tuple[str, str]]:
    return {(entry["kind"], entry["name"]) for entry in product.inventory()}


def _rules(product: Product) -> str:
    return subprocess.run(
        ["ip", "netns", "exec", product.namespace, "nft", "list", "ruleset"], check=True, capture_output=True, text=True
    ).stdout


def test_a_deleted_server_leaves_nothing_and_its_neighbour_stays(product: Product, client: Internet) -> None:
    network = {"public": True, "tcp": {"ports": [22]}, "udp": {"ports": [53]}}
    product.apply(a_server("stays", network=network))
    product.wait_ready("stays")
    before = _inventory(product)
    product.apply(a_server("goes", network=network))
    status = product.wait_ready("goes")["status"]["network"]
    disks = set((product.folder / "disks").iterdir())
    assert _inventory(product) - before
    product.delete("vs", "goes")
    try:
        for kind in ("vm", "vmi", "datavolume", "pvc", "service", "secret", "endpointslices"):
            eventually(
                lambda kind=kind: (
                    not [entry for entry in product.objects(kind) if entry["metadata"]["name"].startswith("goes")]
                ),
                what=f"every {kind} of it to go",
                seconds=30,
            )
        eventually(lambda: not _inventory(product) - before, what="everything on the host to go", seconds=30)
        assert len(set((product.folder / "disks").iterdir())) == len(disks) - 1
        for address in (status["externalIP"], status["internalIP"]):
            assert address not in _rules(product)
        kept = product.get("vs", "stays")["status"]["network"]["externalIP"]
        assert client.probe("tcp", kept, 22)["result"] == "open"
    finally:
        product.delete("vs", "stays")


def test_an_annotation_keeps_the_disk(product: Product) -> None:
    manifest = a_server("keeper", network={"public": False})
    manifest["metadata"]["annotations"] = {KEEP: "true"}
    product.apply(manifest)
    product.wait_ready("keeper")
    product.delete("vs", "keeper")
    try:
        eventually(lambda: not product.get("vm", "keeper"), what="the machine to go", seconds=30)
        assert product.get("datavolume", "keeper")["status"]["phase"] == "Succeeded"
        assert product.get("pvc", "keeper")
    finally:
        product.delete("datavolume", "keeper")
    eventually(lambda: not product.get("pvc", "keeper"), what="the claim to go with its DataVolume", seconds=30)
