"""The list of Debian packages, which the shell, the doctor and the documentation share."""

from __future__ import annotations

from pathlib import Path

_LIST = Path(__file__).parents[3] / "tools" / "debian-packages"


def _lines() -> list[str]:
    return [line for line in _LIST.read_text().splitlines() if line and not line.startswith("#")]


def test_every_package_says_what_needs_it() -> None:
    assert all(len(line.split("#", 1)) == 2 and line.split("#", 1)[1].strip() for line in _lines())


def test_the_list_is_sorted_and_has_no_repeats() -> None:
    names = [line.split()[0] for line in _lines()]
    assert names == sorted(set(names))


def test_no_package_that_starts_a_service_is_in_the_list() -> None:
    names = {line.split()[0] for line in _lines()}
    assert not names & {"dnsmasq", "libvirt-daemon-system", "openssh-server", "isc-dhcp-server"}
