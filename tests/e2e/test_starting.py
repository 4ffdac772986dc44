"""What can stand in the way of a start: it is said with its remedy, nothing is lost, and the next run goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from e2e.conftest import IMAGE, add_image
from e2e.manifests import a_server

if TYPE_CHECKING:
    from e2e.machine import Machine

_LISTEN = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(); s.accept()"


def _processes(machine: Machine, word: str) -> list[str]:
    found = machine.look("none")["processes"]
    return [pid for pid, line in found.items() if word in line.split(" ", 2)[0] or f"-m {word} " in line]


def test_without_root_or_qemu_nothing_is_begun(machine: Machine) -> None:
    product = machine.product("starts")
    before = machine.look(product.installation)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*machine.enter, *nobody, *product.command("up", "--no-hello")[len(machine.enter) :]],
        env=product.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "root" in done.stderr and "sudo" in done.stderr

    machine.run("mount", "--bind", "/dev/null", "/usr/bin/qemu-system-x86_64")
    done = product.attempt("up", "--no-hello")
    machine.run("umount", "/usr/bin/qemu-system-x86_64")
    assert done.returncode == 1
    assert "qemu-system-x86_64: is missing. apt-get install --no-install-recommends qemu-system-x86" in done.stderr
    machine.is_as(before, product.installation)
    assert not product.folder.exists()


def test_a_port_that_somebody_took_is_named_with_its_holder(machine: Machine) -> None:
    product = machine.product("starts")
    product.vs("up", "--no-hello")
    product.kubectl("create", "namespace", "kept")
    product.vs("down")
    port = json.loads((product.folder / "instance.json").read_bytes())["ports"]["kube-apiserver"]
    with subprocess.Popen(
        [*machine.enter, sys.executable, "-uc", _LISTEN, str(port)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        done = product.attempt("up", "--no-hello")
        assert done.returncode == 1
        assert f"TCP port {port}, remembered for kube-apiserver, is in use by python" in done.stderr
        pid = done.stderr.partition("(PID ")[2].partition(")")[0]
        assert f"end PID {pid}" in done.stderr
        machine.run("kill", pid)
    product.vs("up", "--no-hello")
    assert product.get("namespace", "kept")
    product.vs("down", "--purge", "--yes")


def test_two_starts_at_once_make_one_instance(machine: Machine) -> None:
    product = machine.product("twice")
    before = machine.look(product.installation)
    line = product.command("up", "--no-hello")
    starts = [subprocess.Popen(line, env=product.environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [start.communicate(timeout=300)[1] for start in starts]
    assert [start.returncode for start in starts] == [0, 0], told
    assert len([text for text in told if "another vs changes twice (PID " in text]) == 1, told
    programs = {"etcd": "etcd", "kube-apiserver": "kube-apiserver", "operator": "virtualserver.operator"}
    programs |= {"node": "virtualserver.node", "supervisor": "virtualserver.controlplane", "dnsmasq": "dnsmasq"}
    found = {name: len(_processes(machine, word)) for name, word in programs.items()}
    assert found == dict.fromkeys(programs, 1)
    product.vs("down", "--purge", "--yes")
    machine.is_as(before, product.installation)


def test_a_foreign_forward_drop_is_named_with_its_remedy_and_the_start_succeeds(machine: Machine) -> None:
    docker = "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"
    machine.run("nft", docker)
    foreign = machine.run("nft", "list", "ruleset")
    product = machine.product("walled")
    told = json.loads(product.vs("up", "--no-hello", "-o", "json"))["blockers"]
    assert [blocker["where"] for blocker in told] == ["ip filter FORWARD"]
    assert "policy drop" in told[0]["reason"]
    assert told == json.loads(product.vs("status", "-o", "json"))["blockers"]
    assert told[0]["remedy"] in product.vs("status")
    assert told[0]["remedy"] in product.attempt("doctor").stdout
    add_image(product)
    product.apply(a_server("ports", image=IMAGE, network={"public": True, "tcp": {"ports": [22]}}))
    address = product.wait_ready("ports")["status"]["network"]["externalIP"]
    assert machine.client.probe("tcp", address, 22)["result"] == "filtered"
    machine.run("sh", "-c", told[0]["remedy"])
    assert machine.client.probe("tcp", address, 22)["result"] == "open"
    assert json.loads(product.vs("status", "-o", "json"))["blockers"] == []
    product.vs("down", "--purge", "--yes")
    assert machine.run("nft", "list", "ruleset").count("policy drop") == foreign.count("policy drop") == 1
