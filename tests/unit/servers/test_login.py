"""By which way ``vs ssh`` logs in."""

from __future__ import annotations

import dataclasses

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


def test_a_server_is_known_by_itself_and_not_by_its_address() -> None:
    assert "-o HostKeyAlias=u-1 -o StrictHostKeyChecking=accept-new" in line(a_page())
    assert "HostKeyAlias" not in line(a_page(ephemeral=True)), "its keys are new at each start"
