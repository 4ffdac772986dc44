"""What only a guest shows of Debian 13, which takes its network with systemd-networkd and systemd-resolved."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from e2e.manifests import a_server
from harness import debian13
from harness.waiting import eventually
from virtualserver.node.vmi.resolver import CLUSTER_RESOLVER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.product import Product

pytestmark = pytest.mark.timeout(900)

CLOUD_INIT: Final = """\
timezone: Europe/Berlin
write_files:
- {path: /srv/ours, owner: 'ada:ada', content: x}
- {path: /home/ada/note, owner: 'ada:ada', content: x}
"""
REPORT: Final = """
cloud-init status --wait | tail -1
hostname
ip -4 -br address show dev eth0
resolvectl dns eth0
resolvectl domain eth0
grep -E '^(search|options)' /etc/resolv.conf
getent hosts thirteen | wc -l
ip -4 route show default
sudo systemctl restart systemd-resolved
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; grep -q '^options ndots:2$' /etc/resolv.conf && break; done
echo "again: $(grep '^options' /etc/resolv.conf)"
echo "failed: $(systemctl --failed --plain --no-legend)"
echo "grown: $(($(df --output=size -B1 / | tail -1) > 5 << 29))"
readlink /etc/localtime
sudo stat -c '%U:%G %n' /srv/ours /home/ada /home/ada/note
id -un ada
id -gn operator
sudo grep -hE 'WARN|ERROR|Traceback' /var/log/cloud-init.log
echo END
"""


@pytest.fixture(scope="module")
def report(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Boot a server with a card on the cluster network, and one on a VPC at which nobody answers."""
    image, key = debian13.image(), tmp_path_factory.mktemp("ssh") / "key"
    files = ["--kernel", str(image.kernel), "--initrd", str(image.initrd), "--command-line", image.command_line]
    product.vs("image", "add", str(image.disk), "--name", image.name, *files)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    source = {"pvc": {"namespace": "vd-images", "name": image.name}}
    server = a_server(
        "thirteen",
        network={"dnsConfig": {"options": [{"name": "ndots", "value": "2"}]}, "vpcs": [{"name": "silent"}]},
        users=[{"username": "operator", "sshpublickey": public}, {"username": "ada"}],
        cloudInit=CLOUD_INIT,
        resources={"cpu": {"count": 2}, "memory": "512Mi"},
        storage={"root": {"size": "3Gi", "storageClassName": "local", "source": source}},
    )
    vpc = {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "silent", "namespace": "default"},
        "spec": {"config": '{"cniVersion": "0.3.1", "type": "bridge"}'},
    }
    try:
        product.apply(vpc, server)
        product.wait_ready("thirteen", seconds=300)
        # How long a guest boots is what the machine has left for it; only the order counts here. Its log is read, since
        # asking it takes the processor from it.
        eventually(lambda: "finished at" in product.vs("logs", "thirteen"), what="cloud-init to end", seconds=600)
        yield said(product, key, REPORT)
    except AssertionError as error:
        error.add_note(product.vs("logs", "thirteen")[-3000:])
        raise
    finally:
        product.delete("vs", "thirteen")
        product.delete("network-attachment-definitions", "silent")
        product.vs("image", "remove", image.name)


def said(product: Product, key: Path, script: str) -> str:
    """Return what a script prints in the guest."""
    options = ["-i", str(key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
    done = product.attempt("ssh", "thirteen", *options, "--", "sh", "-s", stdin=script, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_it_is_named_and_a_silent_card_holds_nothing_up(report: str) -> None:
    assert report.startswith("status: done\nthirteen\neth0 "), "the address is that of its first card"
    assert "failed: \ngrown: 1\n" in report


def test_it_asks_the_clusters_resolver_and_searches_where_dhcp_says(report: str) -> None:
    searched = "default.svc.cluster.local svc.cluster.local cluster.local"
    assert f"(eth0): {CLUSTER_RESOLVER[0]}\n" in report
    assert f"(eth0): {searched}\n" in report
    assert f"\nsearch {searched}\n" in report
    assert "\n1\ndefault via " in report, "its own short name resolves"


def test_resolver_options_outlive_what_systemd_resolved_writes(report: str) -> None:
    assert "\noptions ndots:2\n" in report
    assert "again: options ndots:2\n" in report


def test_faults_19_and_21_files_are_their_users_and_a_groups_name_is_a_user(report: str) -> None:
    for path in ("/srv/ours", "/home/ada", "/home/ada/note"):
        assert f"ada:ada {path}\n" in report
    assert "\nada\noperator\n" in report


def test_fault_20_the_time_zone_is_set_and_cloud_init_ends_without_a_word(report: str) -> None:
    _, _, rest = report.partition("/usr/share/zoneinfo/Europe/Berlin\n")
    assert rest.endswith("\nada\noperator\nEND\n"), rest
