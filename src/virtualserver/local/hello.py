"""The first server: ``examples/hello.yaml`` with the caller's own ssh key, and what it takes to reach it."""

from __future__ import annotations

import dataclasses
import http.client
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from virtualserver.api.conditions import in_full
from virtualserver.local.errors import LocalError, TimedOutError

if TYPE_CHECKING:
    from virtualserver.host.progress import Update
    from virtualserver.local.caller import SshKey
    from virtualserver.local.kubectl import Kubectl

__all__ = ["Reachable", "apply", "manifest", "ssh_configuration", "wait"]

_NAME = "hello"
_NAMESPACE = "default"
_SSH, _PAGE = 22, 80
_STOPPED_SECONDS = 10.0
_FAILED_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Reachable:
    """How the first server is reached from this machine.

    Attributes:
        name: The server's name.
        address: Its address; ``""`` where it has none.
        state: What its Ready condition says, in words.
        answers: True where each of `asked` was seen to answer.
        asked: The ports that it publishes of those that the example has: 22 for ssh, 80 for a page.
    """

    name: str
    address: str
    state: str
    answers: bool
    asked: frozenset[int] = frozenset({_SSH, _PAGE})

    @property
    def has_failed(self) -> bool:
        """Whether the server's condition says that it cannot run as things are."""
        return self.state.startswith("Failed")

    @property
    def url(self) -> str:
        """The page that the server serves, ``""`` where none is seen."""
        if not (self.answers and _PAGE in self.asked):
            return ""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}/"


def manifest() -> dict[str, Any]:
    """Return ``examples/hello.yaml``, which the package carries; in a checkout it is read from its own place."""
    carried = Path(__file__).with_name("hello.yaml")
    path = carried if carried.exists() else Path(__file__).parents[3] / "examples" / "hello.yaml"
    return yaml.safe_load(path.read_text())


def apply(kubectl: Kubectl, key: SshKey, *, is_public: bool = True) -> None:
    """Make the server and the Secret with the key, where they are not there.

    What exists is the user's: a server that was changed or stopped stays as it is.

    Args:
        kubectl: Of the installation.
        key: Of whom the server lets in.
        is_public: Whether its address is of the public pool; else of the private one.
    """
    server = manifest()
    server["spec"]["network"]["public"] = is_public
    reference = server["spec"]["users"][0]["sshPublicKeysSecretRef"]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": reference["name"], "namespace": _NAMESPACE},
        "stringData": {reference["key"]: key.public + "\n"},
    }
    wanted = [("secret", reference["name"], secret), ("virtualserver", _NAME, server)]
    missing = [m for kind, name, m in wanted if kubectl.get(kind, name, namespace=_NAMESPACE) is None]
    if missing:
        kubectl.apply(missing)


def wait(kubectl: Kubectl, update: Update, *, seconds: float) -> Reachable:
    """Wait until the server is Ready and answers on ports 22 and 80, where it still publishes them.

    A server that the user stopped is not waited for.

    Raises:
        TimedOutError: It does not answer within the time; the message says what it waits for.
        LocalError: It has failed for a minute, although the node tries again and again.
    """
    end = time.monotonic() + seconds
    stopped_since: float | None = None
    failed_since: float | None = None
    while True:
        server = kubectl.get("virtualserver", _NAME, namespace=_NAMESPACE) or {}
        seen = _look(server)
        # A server that is about to start says Stopped for a moment too; one that its user stopped goes on saying it.
        stopped_since = (stopped_since or time.monotonic()) if _is_stopped(server) else None
        if seen.answers or (stopped_since and time.monotonic() - stopped_since > _STOPPED_SECONDS):
            return seen
        update(seen.state, None)
        failed_since = (failed_since or time.monotonic()) if seen.has_failed else None
        if failed_since and time.monotonic() - failed_since > _FAILED_SECONDS:
            raise LocalError(f"server {_NAME!r} cannot start: {seen.state}")
        if time.monotonic() >= end:
            raise TimedOutError(
                f"server {_NAME!r} does not answer after {seconds:.0f} s: {seen.state}",
                remedy="It goes on by itself. All about it: vs show hello",
            )
        time.sleep(1)


def ssh_configuration(server: Reachable, key: SshKey) -> str:
    """Return an ssh configuration with which ``ssh -F FILE hello`` logs in.

    Host keys are not remembered: a server made again has new ones, and its packets do not leave this machine.
    """
    lines = [
        f"Host {server.name}",
        f"  HostName {server.address}",
        f"  User {manifest()['spec']['users'][0]['username']}",
        "  StrictHostKeyChecking no",
        "  UserKnownHostsFile /dev/null",
        "  LogLevel ERROR",
    ]
    if key.private is not None:
        lines.append(f'  IdentityFile "{key.private}"')
    return "\n".join(lines) + "\n"


def _look(server: dict[str, Any]) -> Reachable:
    status = server.get("status", {})
    address = status.get("network", {}).get("externalIP", "")
    ready = _condition(server, 0)
    state = f"{ready.get('reason', 'Initializing')}: {in_full(status.get('conditions', []))}".strip(": ")
    asked = _published(server) & {_SSH, _PAGE}
    if ready.get("status") != "True" or (asked and not address):
        return Reachable(_NAME, address, state, answers=False)
    silent = ""
    if _SSH in asked and not _speaks_ssh(address):
        silent = "ssh server on port 22"
    elif _PAGE in asked and not _serves_page(address):
        silent = "page on port 80"
    if silent:
        state = f"the guest runs; waiting for its {silent} (vs path {_NAME} says where packets are lost)"
    return Reachable(_NAME, address, state, answers=not silent, asked=asked)


def _published(server: dict[str, Any]) -> frozenset[int]:
    """Return the TCP ports that answer at the server's address as its manifest says now."""
    network = server.get("spec", {}).get("network", {})
    if network.get("directAttachLoadBalancerIP"):
        return frozenset({_SSH, _PAGE})
    tcp: dict[str, Any] = network.get("tcp") or {}
    return frozenset(tcp.get("ports") or ())


def _condition(server: dict[str, Any], index: int) -> dict[str, Any]:
    conditions = server.get("status", {}).get("conditions", [])
    return conditions[index] if len(conditions) > index else {}


def _is_stopped(server: dict[str, Any]) -> bool:
    return _condition(server, 0).get("reason") == "VirtualServerStopped"


def _speaks_ssh(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=3) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _serves_page(address: str) -> bool:
    connection = http.client.HTTPConnection(address, 80, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
