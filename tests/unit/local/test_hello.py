"""The first server's manifest, the objects that are made for it, and what is waited for. Real guests: tests/e2e."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from virtualserver.local import caller, hello
from virtualserver.local.errors import LocalError, TimedOutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.local.kubectl import Kubectl

KEY = caller.SshKey("ssh-ed25519 AAAA ada", Path("/keys/id_ed25519"), made=True)


def always(value: object) -> Callable[..., object]:
    """Return a function that returns the value, whatever it is called with."""

    def answer(*_: object, **__: object) -> object:
        return value

    return answer


def answers(*values: bool) -> Callable[[str], bool]:
    """Return a function that returns one value after another."""
    remaining = iter(values)

    def answer(address: str) -> bool:
        assert address
        return next(remaining)

    return answer


class Cluster:
    """Answers what kubectl would, from a dictionary, and remembers what was applied."""

    def __init__(self, *states: dict[str, Any], present: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.applied: list[dict[str, Any]] = []
        self._present = present
        self._states = itertools.chain(states, itertools.repeat(states[-1] if states else {}))

    def get(self, kind: str, name: str, *, namespace: str) -> dict[str, Any] | None:
        if kind == "virtualserver" and not self._present:
            return next(self._states) or None
        return {"kind": kind} if kind in self._present else None

    def apply(self, manifests: list[dict[str, Any]]) -> None:
        assert manifests, "kubectl refuses to apply nothing"
        self.applied.extend(manifests)

    @property
    def kubectl(self) -> Kubectl:
        return cast("Kubectl", self)


def a_server(
    reason: str, *, status: str = "False", address: str = "", ports: tuple[int, ...] = (22, 80)
) -> dict[str, Any]:
    return {
        "spec": {"network": {"tcp": {"ports": list(ports)}} if ports else {}},
        "status": {
            "conditions": [{"type": "Ready", "status": status, "reason": reason, "message": f"{reason} it is"}],
            "network": {"externalIP": address},
        },
    }


def test_the_manifest_is_public_with_ssh_and_a_page_and_has_no_password() -> None:
    spec = hello.manifest()["spec"]
    assert spec["network"] == {"public": True, "tcp": {"ports": [22, 80]}}
    assert all("password" not in user for user in spec["users"])
    assert isinstance(yaml.safe_load(spec["cloudInit"]), dict)


def test_the_key_goes_into_the_secret_that_the_manifest_names() -> None:
    cluster = Cluster({})
    hello.apply(cluster.kubectl, KEY)
    reference = hello.manifest()["spec"]["users"][0]["sshPublicKeysSecretRef"]
    secret, server = cluster.applied
    assert secret["metadata"] == {"name": reference["name"], "namespace": "default"}
    assert secret["stringData"] == {reference["key"]: "ssh-ed25519 AAAA ada\n"}
    assert server == hello.manifest()
    hello.apply(cluster.kubectl, KEY, is_public=False)
    assert cluster.applied[-1]["spec"]["network"]["public"] is False


def test_what_the_user_has_is_not_written_again() -> None:
    cluster = Cluster(present={"secret", "virtualserver"})
    hello.apply(cluster.kubectl, KEY)
    assert cluster.applied == []


def test_it_waits_until_both_ports_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hello, "_speaks_ssh", answers(False, True, True))
    monkeypatch.setattr(hello, "_serves_page", answers(False, True))
    monkeypatch.setattr("time.sleep", always(None))
    ready = a_server("VirtualServerReady", status="True", address="203.0.113.1")
    said: list[str] = []
    found = hello.wait(
        Cluster({}, a_server("Initializing"), ready).kubectl, lambda text, share: said.append(text), seconds=60
    )
    assert found.answers
    assert found.address == "203.0.113.1"
    assert said == [
        "Initializing",
        "Initializing: Initializing it is",
        "the guest runs; waiting for its ssh server on port 22 (vs path hello says where packets are lost)",
        "the guest runs; waiting for its page on port 80 (vs path hello says where packets are lost)",
    ]


@pytest.mark.parametrize(("ports", "url"), [((22,), ""), ((80, 443), "http://203.0.113.1/"), ((), "")])
def test_what_the_user_publishes_no_more_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, ports: tuple[int, ...], url: str
) -> None:
    """A quarter of an hour each time, for a port that somebody had taken away."""
    monkeypatch.setattr(hello, "_speaks_ssh", answers(*(True for port in ports if port == 22)))
    monkeypatch.setattr(hello, "_serves_page", answers(*(True for port in ports if port == 80)))
    address = "203.0.113.1" if ports else ""
    ready = a_server("VirtualServerReady", status="True", address=address, ports=ports)
    found = hello.wait(Cluster(ready).kubectl, lambda text, share: None, seconds=60)
    assert (found.answers, found.asked, found.url) == (True, set(ports) & {22, 80}, url)


def test_a_stopped_server_is_the_users_wish_once_it_stays_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count(0, 4)
    monkeypatch.setattr("time.monotonic", lambda: float(next(now)))
    monkeypatch.setattr("time.sleep", always(None))
    found = hello.wait(Cluster(a_server("VirtualServerStopped")).kubectl, lambda text, share: None, seconds=600)
    assert not found.answers
    assert found.state.startswith("VirtualServerStopped")


def test_a_server_that_does_not_answer_in_time_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", always(None))
    with pytest.raises(TimedOutError, match="PoolExhausted it is"):
        hello.wait(Cluster(a_server("PoolExhausted")).kubectl, lambda text, share: None, seconds=0)


def test_the_ssh_configuration_names_the_address_the_user_and_the_key() -> None:
    text = hello.ssh_configuration(hello.Reachable("hello", "203.0.113.1", "", answers=True), KEY)
    lines = [line.split(None, 1) for line in text.splitlines()]
    assert ["Host", "hello"] in lines
    assert ["HostName", "203.0.113.1"] in lines
    assert ["User", "hello"] in lines
    assert ["IdentityFile", '"/keys/id_ed25519"'] in lines


def test_an_ipv6_address_stands_in_brackets_in_the_url() -> None:
    assert hello.Reachable("hello", "2001:db8::1", "", answers=True).url == "http://[2001:db8::1]/"


def test_a_server_that_goes_on_failing_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count(0, 10)
    monkeypatch.setattr("time.monotonic", lambda: float(next(now)))
    monkeypatch.setattr("time.sleep", always(None))
    with pytest.raises(LocalError, match="cannot start: Failed: Failed it is"):
        hello.wait(Cluster(a_server("Failed")).kubectl, lambda text, share: None, seconds=6000)
