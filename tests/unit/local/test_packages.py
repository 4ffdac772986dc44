"""The list of Debian packages, which the shell, the doctor and the documentation share."""

from __future__ import annotations

from pathlib import Path

from virtualserver.local import doctor
from virtualserver.storage.builds import busybox, debian

_TOOLS = Path(__file__).parents[3] / "tools"
_LISTS = ("debian-packages", "debian-packages-test")


def _lines(*names: str) -> list[str]:
    texts = [(_TOOLS / name).read_text() for name in names or _LISTS]
    return [line for text in texts for line in text.splitlines() if line and not line.startswith("#")]


def test_every_package_says_what_needs_it() -> None:
    assert all(len(line.split("#", 1)) == 2 and line.split("#", 1)[1].strip() for line in _lines())


def test_the_list_is_sorted_and_has_no_repeats() -> None:
    for listed in _LISTS:
        names = [line.split()[0] for line in _lines(listed)]
        assert names == sorted(set(names))


def test_what_is_installed_is_what_the_doctor_looks_for_and_little_more() -> None:
    names = {line.split()[0] for line in _lines("debian-packages")}
    packages = {*doctor.PROGRAMS.values(), *doctor.IMAGE_PROGRAMS.values()}
    # Certificates, Python itself, a library and firmware: what is no program.
    assert names - packages == {"ca-certificates", "libnftables1", "ovmf", "python3-venv"}
    assert packages - names == set()


def test_the_doctor_looks_for_what_building_an_image_needs() -> None:
    packages = {*doctor.PROGRAMS.values(), *doctor.IMAGE_PROGRAMS.values()}
    needed = {*busybox.PROGRAMS.values(), *debian.PROGRAMS.values()}
    # Those are on every Debian, containers included (systemd is not).
    assert needed - packages <= {"apt", "coreutils", "dpkg"}


def test_no_package_that_starts_a_service_is_in_the_list() -> None:
    names = {line.split()[0] for line in _lines()}
    assert not names & {"dnsmasq", "libvirt-daemon-system", "openssh-server", "isc-dhcp-server"}
