"""By which way ``vs ssh`` logs in."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest

from virtualserver.servers import login, show
from virtualserver.servers.page import Objects, Page, Port, page

PROXY = ["vs", "forward", "-n", "a b", "web", "22"]


def a_page(*ports: Port, ephemeral: bool = False) -> Page:
    root = {"size": "1Gi", "ephemeral": ephemeral}
    server = {"metadata": {"name": "web", "namespace": "a", "uid": "u-1"}, "spec": {"storage": {"root": root}}}
    return dataclasses.replace(page(Objects(server)), ports=ports)


def line(found: Page) -> str:
    return " ".join(login.ssh(found, user="ada", options=["-i", "key"], proxy=PROXY))


def test_an_address_that_answers_is_used() -> None:
    silent = Port("web-tcp", "203.0.113.7", "TCP", 22, show.SILENT)
    answers = Port("web-tcp", "203.0.113.8", "TCP", 22, show.ANSWERS)
    assert line(a_page(silent, answers)).endswith("-i key -l ada 203.0.113.8")


def test_who_answers_nowhere_is_reached_by_the_api_server() -> None:
    other = Port("web-tcp", "203.0.113.8", "TCP", 80, show.ANSWERS)
    for ports in ((), (other,), (Port("web-tcp", "203.0.113.7", "TCP", 22, show.REFUSED),)):
        assert line(a_page(*ports)).endswith("-o ProxyCommand=vs forward -n 'a b' web 22 -l ada web")


@pytest.mark.parametrize(
    ("network", "asked"),
    [
        ({"externalIP": "198.51.100.5", "internalIP": "10.42.0.9"}, ""),
        ({"externalIP": "203.0.113.7", "internalIP": "203.0.113.7"}, "203.0.113.7"),
        ({"internalIP": "10.42.0.9", "floatingIPs": {"a": "203.0.113.8", "b": "203.0.113.9"}}, "203.0.113.8"),
    ],
)
async def test_attack_port_22_of_an_address_that_others_share_is_never_taken_for_the_guests(
    network: dict[str, Any], asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the machine's own address it was the machine's sshd, or that of whoever publishes it there."""

    async def shown(*_: object) -> Page:
        server = {"metadata": {"name": "web", "namespace": "a", "uid": "u-1"}, "status": {"network": network}}
        other = Port("web-tcp", str(network.get("externalIP")), "TCP", 443, show.ANSWERS)
        return dataclasses.replace(
            page(Objects(server)), ports=(other,), runs_since="2026-01-01T00:00:00Z", users=("ada",)
        )

    async def answers(port: Port) -> Port:
        return dataclasses.replace(port, answer=show.ANSWERS)

    monkeypatch.setattr(show, "show", shown)
    monkeypatch.setattr(show, "asked", answers)
    told = await login.command(cast("Any", None), "web", user="", options=[], proxy=PROXY)
    assert told[-1] == (asked or "web")
    assert any(word.startswith("ProxyCommand") for word in told) == (not asked)


def test_a_server_is_known_by_itself_and_not_by_its_address() -> None:
    assert "-o HostKeyAlias=u-1 -o StrictHostKeyChecking=accept-new" in line(a_page())
    assert "HostKeyAlias" not in line(a_page(ephemeral=True)), "its keys are new at each start"
