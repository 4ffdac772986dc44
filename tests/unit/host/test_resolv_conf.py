"""What a host's resolver file says, and whom of it a guest can ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.host import resolv_conf

if TYPE_CHECKING:
    from pathlib import Path


def test_only_servers_off_the_loopback_and_the_link_are_reachable() -> None:
    servers = ("127.0.0.53", "::1", "0.0.0.0", "fe80::1%eth0", "192.0.2.1", "nonsense")
    lines = [*(f"nameserver {server}" for server in servers), "search a.test b.test.", "# no", ""]
    found = resolv_conf.parse("\n".join(lines))
    assert [str(one) for one in found.nameservers] == ["127.0.0.53", "::1", "0.0.0.0", "fe80::1", "192.0.2.1"]
    assert [str(one) for one in found.reachable] == ["192.0.2.1"]
    assert found.searches == ("a.test", "b.test")


def test_the_first_file_with_a_reachable_server_counts(tmp_path: Path) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\nsearch a.test\n")
    assert resolv_conf.read(files=[stub, real]).searches == ("a.test",)
    real.write_text("nameserver 192.0.2.1\n")
    assert [str(one) for one in resolv_conf.read(files=[stub, real]).reachable] == ["192.0.2.1"]
    assert resolv_conf.read(files=[tmp_path / "none"]) == resolv_conf.ResolvConf()


def test_a_server_of_another_family_does_not_count_where_one_is_named(tmp_path: Path) -> None:
    six, four = tmp_path / "six", tmp_path / "four"
    six.write_text("nameserver 2001:db8::53\n")
    four.write_text("nameserver 192.0.2.1\n")
    assert resolv_conf.read(files=[six, four]) == resolv_conf.parse(six.read_text())
    assert resolv_conf.read(family=4, files=[six, four]) == resolv_conf.parse(four.read_text())


def test_a_comment_names_no_server() -> None:
    text = "# nameserver 192.0.2.1\nsearch example\nnameserver 203.0.113.53\nnameserver fe80::1%eth0\n"
    assert [str(one) for one in resolv_conf.parse(text).nameservers] == ["203.0.113.53", "fe80::1"]
