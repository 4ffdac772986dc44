"""Who can read what: etcd without a certificate, its files, the audit log, keys, listeners."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import audit_log, proc
from virtualserver.controlplane.rest import Rest
from virtualserver.controlplane.supervisor import processes
from virtualserver.installation import users

if TYPE_CHECKING:
    from harness.control_plane import ControlPlane


def etcd(plane: ControlPlane, *, client: Path | None) -> Rest:
    url = f"https://127.0.0.1:{plane.installation.record().ports['etcd']}"
    return Rest(url, authority=plane.installation.pki / "etcd-ca.crt", client=client)


def stored(plane: ControlPlane, key: str) -> bytes:
    """Return the bytes that etcd holds under a key."""
    connection = etcd(plane, client=plane.installation.pki / "clients/etcd")
    try:
        answer = connection.call("POST", "/v3/kv/range", {"key": base64.b64encode(key.encode()).decode()})
    finally:
        connection.close()
    return base64.b64decode(answer["kvs"][0]["value"])


def test_etcd_refuses_a_client_without_a_certificate(control_plane: ControlPlane) -> None:
    connection = etcd(control_plane, client=None)
    with pytest.raises((ssl.SSLError, OSError)):
        connection.call("POST", "/v3/kv/range", {"key": "AA=="})
    connection.close()


def test_etcd_refuses_a_certificate_of_the_cluster(control_plane: ControlPlane) -> None:
    connection = etcd(control_plane, client=control_plane.installation.pki / "clients/admin")
    with pytest.raises((ssl.SSLError, OSError)):
        connection.call("POST", "/v3/kv/range", {"key": "AA=="})
    connection.close()


def test_the_api_server_refuses_who_shows_nothing(control_plane: ControlPlane) -> None:
    connection = Rest(control_plane.url, authority=control_plane.installation.pki / "ca.crt", client=None)
    assert connection.status("/version") == 401
    connection.close()


def test_secrets_are_encrypted_in_etcd(control_plane: ControlPlane) -> None:
    word = f"word-{secrets.token_hex(8)}"
    control_plane.kubectl("create", "secret", "generic", word, "-n", "default", f"--from-literal=key={word}")
    try:
        content = stored(control_plane, f"/registry/secrets/default/{word}")
    finally:
        control_plane.kubectl("delete", "secret", word, "-n", "default")
    assert content.startswith(b"k8s:enc:secretbox:v1:key1:")
    assert word.encode() not in content


def test_servers_are_encrypted_in_etcd(control_plane: ControlPlane) -> None:
    name = f"secrecy-{secrets.token_hex(3)}"
    server: dict[str, Any] = {
        "apiVersion": "virtualservers.coreweave.com/v1alpha1",
        "kind": "VirtualServer",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "os": {"type": "linux"},
            "resources": {},
            "storage": {"root": {"size": "1Gi", "storageClassName": "none", "source": {"blank": {}}}},
            "users": [{"username": "somebody", "password": "an-old-password"}],
        },
    }
    control_plane.kubectl("create", "-f", "-", stdin=json.dumps(server))
    try:
        content = stored(control_plane, f"/registry/virtualservers.coreweave.com/virtualservers/default/{name}")
    finally:
        control_plane.kubectl("delete", "vs", name, "-n", "default")
    assert content.startswith(b"k8s:enc:secretbox:v1:key1:")


def test_the_audit_log_says_who_did_what_but_never_a_secret(control_plane: ControlPlane) -> None:
    word = f"word-{secrets.token_hex(8)}"
    control_plane.kubectl("create", "secret", "generic", "audited", "-n", "default", f"--from-literal=key={word}")
    control_plane.kubectl("get", "secret", "audited", "-n", "default", "-o", "yaml")
    control_plane.kubectl("delete", "secret", "audited", "-n", "default")
    log = (control_plane.installation.audit / "audit.log").read_text()
    entries = [*audit_log.entries(control_plane.installation.audit)]
    about = [entry for entry in entries if entry.get("objectRef", {}).get("name") == "audited"]
    assert {"create", "get", "delete"} <= {entry["verb"] for entry in about}
    assert {entry["user"]["username"] for entry in about} == {"admin"}
    assert {entry["level"] for entry in entries} == {"Metadata"}
    assert not [entry for entry in entries if "requestObject" in entry or "responseObject" in entry]
    assert word not in log
    assert base64.b64encode(word.encode()).decode() not in log


def test_attack_a_loop_of_reads_rolls_over_nothing_of_what_others_did(control_plane: ControlPlane) -> None:
    for _ in range(3):
        control_plane.kubectl("get", "configmaps", "--all-namespaces")
    control_plane.kubectl("create", "configmap", "written", "-n", "default")
    entries = audit_log.entries(control_plane.installation.audit)
    mine = [entry for entry in entries if entry["user"].get("username") == "admin" and "objectRef" in entry]
    told = {entry["verb"] for entry in mine if entry["objectRef"]["resource"] == "configmaps"}
    assert "create" in told and not told & {"get", "list", "watch"}


def test_private_files_are_their_users_alone(control_plane: ControlPlane) -> None:
    state = control_plane.state
    private = [path for path in state.rglob("*") if path.suffix == ".key" or path.name in ("encryption.json",)]
    private += [control_plane.kubeconfig, *(state / "kubeconfigs").iterdir()]
    assert len(private) > 12
    assert {path: oct(stat.S_IMODE(path.stat().st_mode)) for path in private} == dict.fromkeys(private, "0o600")
    assert stat.S_IMODE((state / "etcd").stat().st_mode) == 0o700


def test_every_component_runs_under_a_user_of_its_own(control_plane: ControlPlane) -> None:
    uids = users.recorded(control_plane.installation)
    running = processes.Records(control_plane.installation.processes).all()
    assert set(running) == {"etcd", "kube-apiserver", "kube-controller-manager"}
    for name, process in running.items():
        # Fault 15: no capability, no way to gain one, and few of the kernel's doors.
        proc.assert_powerless(process.pid, user=getattr(uids, name.replace("-", "_")))
        assert proc.status_of(process.pid)["Groups"] == ""


def test_every_listener_is_on_loopback(control_plane: ControlPlane) -> None:
    # The console's is nobody's here: a control plane alone has none.
    ports = {port for name, port in control_plane.installation.record().ports.items() if name != "console"}
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    listening = [row[1].split(":") for row in rows if row[3] == "0A"]
    ours = [(address, int(port, 16)) for address, port in listening if int(port, 16) in ports]
    assert {port for _, port in ours} == ports
    assert {address for address, _ in ours} == {"0100007F"}
