from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from virtualserver.fabric import correspondents

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 020200C0:D2F0 507100CB:0050 06 00000000:00000000 03:00000EE4 00000000     0        0 0 3 0
"""


def test_the_far_ends_of_connections_are_read_and_listeners_passed_over() -> None:
    assert correspondents.peers_of_connections(_TCP) == {ip_address("203.0.113.80")}


def test_a_mapped_peer_counts_as_ipv4() -> None:
    line = "   0: 0:0050 0000000000000000FFFF0000507100CB:0050 01\n"
    assert correspondents.peers_of_connections("head\n" + line) == {ip_address("203.0.113.80")}


def test_hosts_of_package_sources_are_found_in_both_formats_without_comments() -> None:
    text = "deb [signed-by=/k] http://one.example/debian x main\n# http://old.example/\nURIs: https://u:p@two.example:8080\n"
    assert correspondents.hosts_of_sources(text) == {"one.example", "two.example"}


def test_name_servers_and_hosts_are_found() -> None:
    assert correspondents.written_addresses("nameserver 10.255.255.53 # 192.0.2.1\n203.0.113.80 mirror\n") == {
        ip_address("10.255.255.53"),
        ip_address("203.0.113.80"),
    }


async def test_nothing_readable_is_nothing_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert await correspondents.correspondents(tmp_path) == set()


async def test_package_sources_of_a_root_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "etc/apt").mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list").write_text("deb http://localhost/debian x main\n")
    assert ip_address("127.0.0.1") in await correspondents.correspondents(tmp_path)
