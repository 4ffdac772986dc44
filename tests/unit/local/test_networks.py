"""The networks that this machine and other installations use."""

from __future__ import annotations

import ipaddress
import json
import threading
import uuid
from typing import TYPE_CHECKING

from virtualserver.installation import ranges
from virtualserver.installation.installation import Installation
from virtualserver.local import networks

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def an_installation(root: Path, name: str) -> Installation:
    return Installation.below(root, name)


def test_the_ranges_of_other_installations_are_taken_and_ones_own_are_not(tmp_path: Path) -> None:
    first = ranges.choose([])
    chosen = {"other": first, "mine": ranges.choose(networks.all_of(first))}
    for name, its in chosen.items():
        with an_installation(tmp_path, name).changing() as record:
            record.ranges = ranges.encode(its)
    found = networks.of_other_installations(an_installation(tmp_path, "mine"))
    assert found == {"other": networks.all_of(first)}
    assert ipaddress.ip_network("203.0.113.0/24") in found["other"]


def test_an_installation_that_never_started_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "instance.json").write_text(json.dumps({"identifier": "0a1b2c"}))
    assert networks.of_other_installations(an_installation(tmp_path, "mine")) == {}


def test_only_one_installation_at_a_time_chooses() -> None:
    waited = threading.Event()
    order: list[str] = []
    place = f"virtualserver/test-{uuid.uuid4()}"

    def other() -> None:
        with networks.choosing(lambda _what, _share: waited.set(), place=place):
            order.append("other")

    thread = threading.Thread(target=other)
    with networks.choosing(lambda _what, _share: None, place=place):
        thread.start()
        assert waited.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "other"]


def test_package_sources_and_proxies_are_hosts_that_the_machine_needs() -> None:
    texts = [
        "deb [signed-by=/k] http://mirror.example/debian stable main\n# deb http://unused.example/debian stable\n",
        "Types: deb\nURIs: https://user:secret@other.example:8443/debian\n",
        'Acquire::http::Proxy "http://192.0.2.9:3142";\n',
        "http://[2001:db8::7]:8080",
        "https://one.example/proxy,https://two.example|direct",
    ]
    assert networks.hosts_of(texts) == {
        "mirror.example",
        "other.example",
        "192.0.2.9",
        "2001:db8::7",
        "one.example",
        "two.example",
    }


def test_peers_of_open_connections_are_in_use() -> None:
    text = (
        "0      0          192.0.2.2:22        203.0.113.7:51234\n"
        "0      0     [2001:db8::2]:22    [2001:db8::9]:51234\n"
        "0      0     [::ffff:192.0.2.2]:22    [::ffff:198.51.100.4]:51234\n"
    )
    assert networks.peers_of(text) == {"203.0.113.7", "2001:db8::9", "198.51.100.4"}


def test_a_server_with_a_documentation_address_keeps_its_network_from_being_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mirror() -> set[ipaddress.IPv4Address]:
        return {ipaddress.IPv4Address("203.0.113.80")}

    monkeypatch.setattr(networks, "servers_in_use", mirror)
    chosen = ranges.choose(networks.taken(an_installation(tmp_path, "mine")))
    assert not any(ipaddress.ip_address("203.0.113.80") in network for network in networks.all_of(chosen))
