"""What ``vs show`` prints of ports that nobody answers at."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from click.testing import CliRunner

from virtualserver.cli import main
from virtualserver.servers.access import ApiAccess
from virtualserver.servers.page import Objects, Port, page
from virtualserver.servers.show import ANSWERS, REFUSED, SILENT

if TYPE_CHECKING:
    from virtualserver.servers.page import Page


class Credentials:
    server = "https://127.0.0.1:6443"
    namespace = "default"


def shown(monkeypatch: pytest.MonkeyPatch, *answers: str) -> str:
    """Return what is printed of a server whose ports answer so."""
    server = {"metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": {}}
    ports = tuple(Port("web-tcp", "203.0.113.7", "TCP", 22, answer) for answer in answers)
    found = dataclasses.replace(page(Objects(server)), ports=ports)

    async def show(*_: object) -> Page:
        return found

    def find(**_: object) -> ApiAccess:
        return ApiAccess(Path("kubeconfig"), cast("Any", Credentials()), "shop")

    monkeypatch.setattr("virtualserver.cli.show.show", show)
    monkeypatch.setattr(ApiAccess, "find", find)
    return CliRunner().invoke(main.vs, ["show", "web"], catch_exceptions=False).output


@pytest.mark.parametrize(("answers", "is_named"), [((ANSWERS, SILENT), True), ((ANSWERS, REFUSED), False)])
def test_where_a_port_is_silent_the_next_command_looks_for_its_packets(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[str, ...], is_named: bool
) -> None:
    printed = shown(monkeypatch, *answers)
    assert ("next: vs path web -n shop says where packets are lost" in printed) is is_named
