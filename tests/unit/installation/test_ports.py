"""Which ports an installation takes, and what is said about one that is in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtualserver.installation import ports
from virtualserver.installation.errors import InstallationError

RECORD = Path("/state/instance.json")


def test_ports_differ_and_are_free() -> None:
    chosen = ports.choose(ports.NAMES, is_free=lambda port: port % 2 == 0, start=7)
    assert list(chosen) == list(ports.NAMES)
    assert len(set(chosen.values())) == len(ports.NAMES)
    assert not [port for port in chosen.values() if port % 2]


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    chosen = ports.choose(ports.NAMES, is_free=lambda port: True, start=2**31)
    assert all(1024 < port < 32768 for port in chosen.values())


def test_too_few_free_ports_name_what_is_missing() -> None:
    with pytest.raises(InstallationError, match="kube-controller-manager"):
        ports.choose(ports.NAMES, is_free=lambda port: port in (20001, 20002, 20003), start=0)


def test_every_port_in_use_is_told_at_once() -> None:
    known = {"etcd": 1, "kube-apiserver": 2, "kube-controller-manager": 3}

    def is_free(port: int, address: str) -> bool:
        return port == 2

    found = ports.faults(known, address="127.0.0.1", own=(), record=RECORD, is_free=is_free)
    assert ["etcd" in found[0], "kube-controller-manager" in found[1], len(found)] == [True, True, 2]
    assert str(RECORD) in found[0]


def test_only_the_api_server_is_looked_for_on_the_address_that_was_asked_for() -> None:
    asked: list[tuple[int, str]] = []

    def is_free(port: int, address: str) -> bool:
        asked.append((port, address))
        return True

    ports.faults({"etcd": 1, "kube-apiserver": 2}, address="0.0.0.0", own=(), record=RECORD, is_free=is_free)
    assert asked == [(1, "127.0.0.1"), (2, "0.0.0.0")]


def test_an_address_that_is_listened_on_is_looked_at_and_may_be_gone() -> None:
    def is_free(port: int, address: str) -> bool:
        if address == "192.0.2.8":
            raise InstallationError("no address of this machine")
        return address != "192.0.2.7"

    known = {"kube-apiserver": 2}
    [found] = ports.faults(known, address="127.0.0.1", own=(), record=RECORD, listen="192.0.2.7", is_free=is_free)
    assert "TCP port 2" in found
    assert ports.faults(known, address="127.0.0.1", own=(), record=RECORD, listen="192.0.2.8", is_free=is_free) == []
