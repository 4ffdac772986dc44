"""What of the machine's own apt an image uses."""

from __future__ import annotations

import subprocess
from importlib import resources
from typing import TYPE_CHECKING

import yaml

from virtualserver.storage import builds
from virtualserver.storage.builds import debian

if TYPE_CHECKING:
    from pathlib import Path


def test_only_debians_own_archives_are_used_each_once() -> None:
    targets = "\n".join(
        [
            "http://mirror.test/debian/|bookworm|main|Debian",
            "http://mirror.test/debian/|bookworm|contrib|Debian",
            "http://mirror.test/security/|bookworm-security|main|Debian",
            "https://vendor.test/apt/|stable|main|Vendor",
        ]
    )
    assert debian.sources_from(targets) == [
        "deb http://mirror.test/debian/ bookworm main contrib",
        "deb http://mirror.test/security/ bookworm-security main",
    ]


def test_the_ways_to_the_archives_are_taken_over_and_nothing_else() -> None:
    dump = [
        'Acquire::http::Proxy "http://proxy.test:3128";',
        'Acquire::http "";',
        'APT::Architecture "amd64";',
        'Acquire::Retries "3";',
    ]
    assert debian.apt_options("\n".join(dump)) == [
        '--aptopt=Acquire::http::Proxy "http://proxy.test:3128";',
        '--aptopt=Acquire::Retries "3";',
    ]


def test_the_image_asks_no_metadata_service_and_makes_one_host_key() -> None:
    cloud = yaml.safe_load(resources.files(builds).joinpath("debian.cloud.cfg").read_text())
    assert cloud["datasource_list"] == ["NoCloud", "None"]
    assert cloud["ssh_genkeytypes"] == ["ed25519"]
    assert cloud["system_info"]["default_user"]["lock_passwd"] is True


RENDERED = """\
auto lo
iface lo inet loopback

auto enp0s2
iface enp0s2 inet dhcp

auto enp0s3
iface enp0s3 inet dhcp
    metric 1001
"""


def test_no_start_waits_for_a_card_on_a_vpc(tmp_path: Path) -> None:
    """What cloud-init 22.4 renders for ifupdown of the network configuration of a server on a VPC."""
    file = tmp_path / "interfaces"
    file.write_text(RENDERED)
    script = debian.OPTIONAL_CARDS["usr/local/sbin/mark-optional-cards"].replace(
        "/etc/network/interfaces.d/50-cloud-init", str(file)
    )
    for _ in range(2):
        subprocess.run(["sh", "-c", script], check=True)
        assert file.read_text() == RENDERED.replace("auto enp0s3", "allow-optional enp0s3")
