"""What of the machine's own apt an image uses."""

from __future__ import annotations

import asyncio
import re
import subprocess
from importlib import resources
from pathlib import Path

import pytest
import yaml

from virtualserver.plan.cloud_config_modules import MODULES
from virtualserver.storage import builds
from virtualserver.storage.builds import ImageBuildError, debian, debian_network


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


def test_another_release_comes_from_the_same_archives() -> None:
    targets = "\n".join(
        [
            "http://mirror.test/debian/|bookworm|main|Debian",
            "http://mirror.test/debian/|stable-updates|main|Debian",
            "http://mirror.test/debian/|bookworm-updates|main|Debian",
            "http://mirror.test/security/|bookworm-security|main|Debian",
        ]
    )
    assert debian.sources_from(targets, "trixie") == [
        "deb http://mirror.test/debian/ trixie main",
        "deb http://mirror.test/debian/ trixie-updates main",
        "deb http://mirror.test/security/ trixie-security main",
    ]


def test_a_release_whose_keys_the_machine_lacks_is_named_with_the_package_that_has_them() -> None:
    said = "W: GPG error: http://mirror.test trixie InRelease: ... NO_PUBKEY 6ED0E7B82643E131"
    message = str(debian.with_remedy(ImageBuildError(said), "trixie"))
    assert message.startswith("this machine has no keys of Debian trixie")
    assert "apt-get install debian-archive-keyring" in message and said in message
    other = ImageBuildError("no space left")
    assert debian.with_remedy(other, "trixie") is other


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


def test_fault_20_the_page_lists_what_the_image_does_of_cloud_init() -> None:
    page = Path(__file__).parents[4].joinpath("docs", "guests.md").read_text()
    listed = [set(re.findall(r"`([^`]+)`", line)) for line in re.findall(r"^\* \*\*.*`$", page, re.MULTILINE)]
    known = {key: module for module, keys in MODULES.items() for key in keys.split()}
    carried_out = {key for key, module in known.items() if module in debian.modules()}
    assert listed == [carried_out, set(known) - carried_out | {"FullyApplied"}]
    assert {"locale", "ntp", "ca_certs", "swap", "timezone", "packages"} <= carried_out


def test_fault_20_a_locale_is_taken_from_debians_list_when_it_is_asked_for(tmp_path: Path) -> None:
    listed = tmp_path / "locale.gen"
    listed.write_text("# This file\n# de_DE.UTF-8 UTF-8\n# de_DE@euro ISO-8859-15\n# en_US.UTF-8 UTF-8\n")
    script = debian.LOCALE_GEN.replace("/etc/locale.gen", str(listed)).replace("/usr/sbin/locale-gen", "true")
    for _ in range(2):
        subprocess.run(["sh", "-c", script, "locale-gen", "de_DE.UTF-8", "en_US.UTF-8"], check=True)
    changed = [line for line in listed.read_text().splitlines() if not line.startswith("#")]
    assert changed == ["de_DE.UTF-8 UTF-8", "en_US.UTF-8 UTF-8"]


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
    script = debian_network.IFUPDOWN.files["usr/local/sbin/mark-optional-cards"].replace(
        "/etc/network/interfaces.d/50-cloud-init", str(file)
    )
    for _ in range(2):
        subprocess.run(["sh", "-c", script], check=True)
        assert file.read_text() == RENDERED.replace("auto enp0s3", "allow-optional enp0s3")


@pytest.mark.parametrize(
    ("files", "waited_for"),
    [
        ({}, False),
        ({"eth0": "[Match]\nName=eth0\n"}, True),
        ({"eth0": "[Link]\nRequiredForOnline=no\n"}, False),
        ({"eth0": "[Match]\nName=eth0\n", "eth1": "[Link]\nRequiredForOnline=no\n"}, True),
    ],
    ids=["no card", "a card", "one on a VPC", "both"],
)
def test_systemd_waits_for_the_network_where_a_card_is_waited_for(
    files: dict[str, str], waited_for: bool, tmp_path: Path
) -> None:
    """Its own program waits two minutes where all cards are optional."""
    for name, text in files.items():
        (tmp_path / f"10-cloud-init-{name}.network").write_text(text)
    script = debian_network.NETWORKD.files["usr/local/sbin/is-a-card-waited-for"]
    done = subprocess.run(["sh", "-c", script.replace("/etc/systemd/network", str(tmp_path))], check=False)
    assert (done.returncode == 0) is waited_for


async def test_the_packages_of_a_system_are_counted_while_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "_COUNT_SECONDS", 0.05)
    info, told = tmp_path / "system/var/lib/dpkg/info", list[int]()
    async with debian.counting(tmp_path / "system", told.append):
        await asyncio.sleep(0.2)
        info.mkdir(parents=True)
        for name in ("bash.list", "bash.md5sums", "libc6:amd64.list"):
            (info / name).touch()
        await asyncio.sleep(0.2)
    assert told[0] == 0 and told[-1] == 2
    count = len(told)
    await asyncio.sleep(0.2)
    assert len(told) == count, "it ends with the installation"
