"""What ``vs path`` prints, and how it ends where nobody serves what it asks for."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from click.testing import CliRunner

from harness.network_paths import CARD, PATH, REFUSED
from virtualserver.api.network_path import Guest, NetworkPath, decode, encode
from virtualserver.cli import main
from virtualserver.kube.errors import NotFound
from virtualserver.servers.access import ApiAccess

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable


class Credentials:
    server = "https://127.0.0.1:6443"
    namespace = "shop"


class Api:
    """An API server that has the server ``web``, and perhaps the way to it."""

    def __init__(self, answer: NetworkPath | None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def get(self, *_: object, **__: object) -> dict[str, Any]:
        return {}

    async def request(self, method: str, path: str) -> dict[str, Any]:
        self.asked.append(f"{method} {path}")
        if self.answer is None:
            raise NotFound("the server could not find the requested resource", status=404)
        return {"status": json.loads(json.dumps(encode(self.answer)))}


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Callable[[NetworkPath | None], Api]:
    def serve(answer: NetworkPath | None) -> Api:
        api = Api(answer)

        @contextlib.asynccontextmanager
        async def client(_: ApiAccess) -> AsyncGenerator[Api]:
            yield api

        def find(**_: object) -> ApiAccess:
            return ApiAccess(Path("kubeconfig"), cast("Any", Credentials()), "shop")

        monkeypatch.setattr(ApiAccess, "client", client)
        monkeypatch.setattr(ApiAccess, "find", find)
        return api

    return serve


def test_the_first_loss_comes_first_then_each_way_and_each_card(
    serving: Callable[[NetworkPath | None], Api],
) -> None:
    api = serving(PATH)
    done = CliRunner().invoke(main.vs, ["path", "web"], catch_exceptions=False)
    lines = [line.split() for line in done.output.splitlines()]
    assert lines[2] == ["lost", "Port:", *REFUSED.message.split()]
    assert lines[3] == ["next", *REFUSED.remedy.split()]
    assert ["203.0.113.1", "public", "80/TCP", "192.0.2.0/24", "open", "refused", "Port"] in lines
    assert ["203.0.113.1", "public", "53/UDP", "192.0.2.0/24", "open", "not", "asked"] in lines
    assert ["10.42.0.2", "own", "all", "everywhere", "open"] in lines
    assert lines[-1][:4] == ["default", "cluster", CARD.mac, "whole"]
    assert lines[-1][-2:] == ["mac", "3"]
    group = "network.virtualservers.coreweave.com/v1alpha1"
    assert api.asked == [f"GET /apis/{group}/namespaces/shop/virtualservers/web/path"]


def test_json_is_what_the_node_answers(serving: Callable[[NetworkPath | None], Api]) -> None:
    serving(PATH)
    done = CliRunner().invoke(main.vs, ["path", "web", "-o", "json"], catch_exceptions=False)
    assert decode(json.loads(done.output)) == PATH


def test_where_nothing_is_lost_it_says_where_to_look_on(serving: Callable[[NetworkPath | None], Api]) -> None:
    serving(NetworkPath("shop", "web", (), (), Guest(True, "")))
    assert "nowhere that this machine can see" in CliRunner().invoke(main.vs, ["path", "web"]).output


def test_a_cluster_that_does_not_serve_it_is_told_with_what_there_is_instead(
    serving: Callable[[NetworkPath | None], Api],
) -> None:
    serving(None)
    done = CliRunner().invoke(main.vs, ["path", "web"])
    assert done.exit_code == 1
    assert "vs show web" in done.output + str(done.exception)
