"""What a Debian 13 with systemd-networkd makes of what we tell a guest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from harness import debian13
from harness.planned_seed import planned_seed
from harness.virtualservers import a_server
from virtualserver.plan import cloud_config

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
REPORT: Final = """
exec > /root/report 2>&1
ip -4 -br address show dev eth0
resolvectl dns eth0
resolvectl domain eth0
grep '^search' /etc/resolv.conf
ip -4 route show default
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
    """Boot the guest of a server with a card on the cluster network, and one on a VPC at which nobody answers."""
    network = {"dnsConfig": {"options": [{"name": "ndots", "value": "2"}]}, "vpcs": [{"name": "blue"}]}
    server = a_server(users=[{"username": "operator"}, {"username": "ada"}], network=network, cloudInit=CLOUD_INIT)
    told = planned_seed(server, mac=debian13.MACS[0], vpc_macs={"blue": debian13.MACS[1]})
    config = yaml.safe_load(told["userdata"])
    config["runcmd"].append(["sh", "-c", REPORT])
    with debian13.booted(
        user_data=cloud_config.dump(config),
        network_config=told["networkdata"],
        searches="ns.svc.cluster.local,svc.cluster.local",
    ) as guest:
        yield guest.read("/root/report")


def test_it_takes_its_address_and_a_silent_card_holds_nothing_up(report: str) -> None:
    assert "10.42.0.1" in report.partition("\n")[0]
    assert "10.42.0.53" in report


def test_it_searches_where_dhcp_says(report: str) -> None:
    assert "(eth0): ns.svc.cluster.local svc.cluster.local\n" in report
    assert "\nsearch ns.svc.cluster.local svc.cluster.local\n" in report


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
