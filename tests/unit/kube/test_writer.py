from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache, Watch
from virtualserver.kube.errors import NotFound
from virtualserver.kube.writer import Writer

if TYPE_CHECKING:
    from virtualserver.kube.client import Client


class Server:
    """Takes patches, and answers with the next version."""

    def __init__(self) -> None:
        self.sent: list[tuple[dict[str, Any], str | None]] = []
        self.is_there = True

    async def patch(self, _resource: Any, name: str, patch: dict[str, Any], **options: Any) -> dict[str, Any]:
        if not self.is_there:
            raise NotFound("gone", status=404)
        self.sent.append((patch, options["subresource"]))
        return a_service(name=name, version="9")

    async def create(self, _resource: Any, manifest: dict[str, Any], *, field_manager: str) -> dict[str, Any]:
        assert field_manager == "test"
        return a_service(name=manifest["metadata"]["name"], version="9")


def a_service(*, name: str = "web", version: str = "1", **status: Any) -> dict[str, Any]:
    metadata = {"namespace": "one", "name": name, "uid": "u1", "resourceVersion": version}
    return {"kind": "Service", "metadata": metadata, "status": status}


def a_writer(server: Server) -> tuple[Writer, Cache]:
    client = cast("Client", server)
    cache = Cache(client, {kinds.SERVICE: Watch()})
    return Writer(client, cache, field_manager="test"), cache


async def test_a_status_is_written_where_a_named_field_differs_and_the_cache_knows_it_at_once() -> None:
    server = Server()
    writer, cache = a_writer(server)
    live = a_service(phase="Old", gone=1, other=2)
    assert await writer.write_status(kinds.SERVICE, live, {"phase": "New", "gone": None}) == a_service(version="9")
    assert server.sent == [({"metadata": {"uid": "u1"}, "status": {"phase": "New", "gone": None}}, "status")]
    assert cache.get(kinds.SERVICE, ("one", "web")) == a_service(version="9")


async def test_a_status_that_is_so_is_not_written() -> None:
    server = Server()
    writer, _ = a_writer(server)
    live = a_service(phase="Same", other=2)
    assert await writer.write_status(kinds.SERVICE, live, {"phase": "Same", "gone": None}) is live
    assert server.sent == []


async def test_a_locked_write_names_the_version_that_it_is_based_on() -> None:
    server = Server()
    writer, _ = a_writer(server)
    await writer.write_status(kinds.SERVICE, a_service(version="4"), {"phase": "New"}, locked=True)
    assert server.sent[0][0]["metadata"] == {"uid": "u1", "resourceVersion": "4"}


@pytest.mark.parametrize("subresource", [None, "status"])
async def test_what_is_gone_is_said_to_be_gone(subresource: str | None) -> None:
    server = Server()
    server.is_there = False
    writer, _ = a_writer(server)
    assert await writer.patch(kinds.SERVICE, a_service(), {"spec": {}}, subresource=subresource) is None


async def test_what_is_created_is_known_at_once() -> None:
    writer, cache = a_writer(Server())
    await writer.create(kinds.SERVICE, a_service(name="db"))
    assert cache.get(kinds.SERVICE, ("one", "db")) == a_service(name="db", version="9")
