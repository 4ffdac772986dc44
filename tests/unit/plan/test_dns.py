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


def test_on_a_guest_with_systemd_resolved_the_options_are_set_again_whenever_it_writes_its_file(tmp_path: Path) -> None:
    resolver, units, calls = tmp_path / "resolv.conf", tmp_path / "units", tmp_path / "calls"
    units.mkdir()
    (tmp_path / "resolve").mkdir()
    resolver.write_text("nameserver 127.0.0.53\noptions edns0 trust-ad\n")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    (programs / "systemctl").chmod(0o755)
    hook = dns.resolver_hook(a_server(network={"dnsConfig": OPTIONS}).spec.network)
    for place, mine in (("/etc/resolv.conf", resolver), ("/run/systemd/resolve", tmp_path / "resolve")):
        hook = hook.replace(place, str(mine))
    script = hook.replace("/etc/systemd/system", str(units))
    written: list[int] = []
    for _ in range(2):
        subprocess.run(["sh", "-c", script], check=True, env={"PATH": f"{programs}:/usr/bin:/bin"})
        assert resolver.read_text() == "nameserver 127.0.0.53\noptions ndots:2 edns0\n"
        written.append(resolver.stat().st_mtime_ns)
    assert written[0] == written[1], "what is right is not written: it would call itself for ever"
    unit = "virtualserver-resolver-options"
    assert calls.read_text() == f"daemon-reload\nenable --now {unit}.path {unit}.service\n"
    assert f"PathChanged={tmp_path}/resolve/stub-resolv.conf" in (units / f"{unit}.path").read_text()
    assert f"ExecStart=/bin/sh {dns.HOOK_PATH}" in (units / f"{unit}.service").read_text()


def test_an_option_cannot_run_a_command(tmp_path: Path) -> None:
    evil = {"options": [{"name": "a'; touch owned; echo '%s$(touch owned)`touch owned`\n"}]}
    hook = dns.resolver_hook(a_server(network={"dnsConfig": evil}).spec.network)
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 192.0.2.1\n")
    subprocess.run(["sh", "-c", hook.replace("/etc/resolv.conf", str(resolver))], check=True, cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["resolv.conf"]
