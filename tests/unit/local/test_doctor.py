"""How the doctor judges what it sees; looking at a real host is tests/e2e's matter."""

from __future__ import annotations

import tempfile
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from virtualserver.local import doctor
from virtualserver.machines.accelerator import Accelerator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def always(value: object) -> Callable[..., object]:
    """Return a function that returns the value, whatever it is called with."""

    def answer(*_: object, **__: object) -> object:
        return value

    return answer


def _meminfo(available_kib: int) -> str:
    return f"MemTotal:       16000000 kB\nMemAvailable:   {available_kib} kB\n"


@pytest.mark.parametrize(
    ("gib", "level"), [(0.5, doctor.Level.FAILED), (1.5, doctor.Level.WARNING), (8, doctor.Level.OK)]
)
def test_memory_is_judged_by_what_is_available(gib: float, level: doctor.Level) -> None:
    finding = doctor.memory(_meminfo(int(gib * 2**20)))
    assert finding.level is level
    assert bool(finding.remedy) == (level is not doctor.Level.OK)


def test_memory_that_its_own_guests_may_have_does_not_keep_an_instance_from_starting() -> None:
    finding = doctor.memory(_meminfo(int(0.3 * 2**20)), is_first=False)
    assert (finding.level, finding.found) == (doctor.Level.WARNING, "0.3 GiB available, 2.5 GiB are advised.")


def test_a_remedy_for_missing_kvm_is_told_only_where_it_is_missing() -> None:
    """Where it is there, the reason says what keeps guests from it: the firmware is not to be changed."""
    translated = Accelerator("tcg", "/dev/kvm is for root alone, and QEMU does not run as root: `chgrp kvm /dev/kvm`")
    assert "`chgrp kvm /dev/kvm`" in doctor.judged(translated, is_there=True).found
    assert doctor.judged(translated, is_there=True).remedy == ""
    assert "firmware" in doctor.judged(Accelerator("tcg", "this machine has none"), is_there=False).remedy
    assert doctor.judged(Accelerator("kvm", "a guest ran"), is_there=True).level is doctor.Level.OK


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_program_below_a_closed_home_is_found_out(open_folder: Path) -> None:
    home = open_folder / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python3").touch()
    home.chmod(0o755)
    assert doctor.closed_folder(home / "bin" / "python3") is None
    home.chmod(0o700)
    assert doctor.closed_folder(home / "bin" / "python3") == home


def test_a_link_from_an_open_folder_into_a_closed_home_is_found_out(open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    (home / "python3").touch()
    link = open_folder / "python3"
    link.symlink_to(home / "python3")
    assert doctor.closed_folder(link) == home


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_program", always(None))
    findings = {finding.subject: finding for finding in doctor.programs()}
    assert set(findings) == set(doctor.PROGRAMS)
    assert findings["dhcp_release"].remedy == "apt-get install --no-install-recommends dnsmasq-utils"
    assert all(finding.level is doctor.Level.FAILED for finding in findings.values())


def test_every_package_that_the_doctor_names_is_installed_by_the_set_up() -> None:
    listed = (Path(__file__).parents[3] / "tools" / "debian-packages").read_text().splitlines()
    names = {line.split()[0] for line in listed if line and not line.startswith("#")}
    assert {*doctor.PROGRAMS.values(), *doctor.IMAGE_PROGRAMS.values()} <= names


def test_a_card_that_has_the_network_of_an_uplinks_pool_too_is_named() -> None:
    pool, other = ip_network("192.0.2.128/25"), ip_network("198.51.100.0/25")
    (warning,) = doctor.doubled("eth1", {pool: ["eth1", "wlan0"], other: ["eth1"]})
    assert (warning.level, warning.subject) == (doctor.Level.WARNING, "link wlan0")
    assert "has the network of pool 192.0.2.128/25 too, which is answered for on eth1 alone" in warning.found
    assert "dev wlan0" in warning.remedy
    assert not list(doctor.doubled("eth1", {pool: []})), "the uplink needs no address of its own"


def test_fault_52_links_that_pass_no_packets_on_are_named() -> None:
    (warning,) = doctor.cards({"eth0": True, "eth1": False})
    assert (warning.subject, warning.level) == ("link eth1", doctor.Level.WARNING)
    assert "sysctl -w net.ipv4.conf.eth1.forwarding=1" in warning.remedy and "--uplink eth1" in warning.remedy
    (fine,) = doctor.cards({"eth0": True})
    assert fine.level is doctor.Level.OK
