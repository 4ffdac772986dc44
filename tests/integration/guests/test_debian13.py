"""What a Debian 13 with systemd-networkd makes of what we tell a guest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from harness import debian13
from harness.virtualservers import a_server
from virtualserver.plan import cloud_config
from virtualserver.plan.user_data import user_data_of

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a container needs root"),
    pytest.mark.timeout(900),
]

CLOUD_INIT: Final = """\
timezone: Europe/Berlin
write_files:
- {path: /srv/ours, owner: 'ada:ada', content: x}
- {path: /home/ada/note, owner: 'ada:ada', content: x}
"""
NETWORK: Final = {
    "version": 2,
    "ethernets": {
        "default": {"match": {"macaddress": debian13.MACS[0]}, "dhcp4": True},
        "vpc-0": {
            "match": {"macaddress": debian13.MACS[1]},
            "dhcp4": True,
            "optional": True,
            "dhcp4-overrides": {"route-metric": 1001, "use-dns": False},
        },
    },
}
"""As `plan.objects.network_data` writes it of a server with a VPC, at which nobody answers."""

REPORT: Final = """
exec > /root/report 2>&1
ip -4 -br address show dev eth0
resolvectl dns eth0
grep '^options' /etc/resolv.conf
systemctl restart systemd-resolved
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; grep -q '^options ndots:2$' /etc/resolv.conf && break; done
echo "again: $(grep '^options' /etc/resolv.conf)"
readlink /etc/localtime
stat -c '%U:%G %n' /srv/ours /home/ada /home/ada/note
id -un ada; id -gn operator
grep -hE 'WARN|ERROR|Traceback' /var/log/cloud-init.log | grep -v growpart
echo END
"""


@pytest.fixture(scope="module")
def report() -> Generator[str]:
    users = [{"username": "operator"}, {"username": "ada"}]
    network = {"dnsConfig": {"options": [{"name": "ndots", "value": "2"}]}}
    told = user_data_of(a_server(users=users, network=network, cloudInit=CLOUD_INIT), {})
    assert told.text is not None
    config = yaml.safe_load(told.text)
    config["runcmd"].append(["sh", "-c", REPORT])
    with debian13.booted(
        user_data=cloud_config.dump(config),
        network_config=cloud_config.dump_plain(NETWORK),
        searches="ns.svc.cluster.local,svc.cluster.local",
    ) as guest:
        yield guest.read("/root/report")


def test_it_takes_its_address_and_a_silent_card_holds_nothing_up(report: str) -> None:
    assert "10.42.0.1" in report.partition("\n")[0]
    assert "10.42.0.53" in report


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
