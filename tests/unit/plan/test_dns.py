from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from harness.virtualservers import a_server
from virtualserver.plan import dns

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = {"options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}


def test_the_policy_is_clusterfirst_unless_the_manifest_says_otherwise() -> None:
    assert dns.machine_fields(a_server().spec.network) == {"dnsPolicy": "ClusterFirst"}


def test_options_are_written_as_resolv_conf_has_them() -> None:
    assert dns.options(a_server(network={"dnsConfig": OPTIONS}).spec.network) == ("ndots:2", "edns0")


def test_without_options_there_is_no_hook() -> None:
    assert dns.resolver_hook(a_server(network={"dnsConfig": {"searches": ["a.example"]}}).spec.network) == ""


def test_the_hook_sets_the_options_however_often_it_runs(tmp_path: Path) -> None:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("search a.example\nnameserver 192.0.2.1\noptions timeout:9\n")
    hook = dns.resolver_hook(a_server(network={"dnsConfig": OPTIONS}).spec.network)
    script = hook.replace("/etc/resolv.conf", str(resolver))
    for _ in range(2):
        subprocess.run(["sh", "-c", script], check=True)
    assert resolver.read_text() == "search a.example\nnameserver 192.0.2.1\noptions ndots:2 edns0\n"


def test_an_option_cannot_run_a_command(tmp_path: Path) -> None:
    evil = {"options": [{"name": "a'; touch owned; echo '%s$(touch owned)`touch owned`\n"}]}
    hook = dns.resolver_hook(a_server(network={"dnsConfig": evil}).spec.network)
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 192.0.2.1\n")
    subprocess.run(["sh", "-c", hook.replace("/etc/resolv.conf", str(resolver))], check=True, cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["resolv.conf"]
