"""Collects what there is of a server, and asks its published ports whether they answer."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.errors import NotFound
from virtualserver.kube.events import EVENTS
from virtualserver.servers.page import Objects, page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest, Resource
    from virtualserver.servers.access import ApiAccess
    from virtualserver.servers.page import Page, Port

__all__ = ["ANSWERS", "REFUSED", "SILENT", "asked", "show"]

_ANSWER_SECONDS: Final = 1.0
_MOST: Final = 128
"""So many ports are asked at once, and no more of one server's."""

ANSWERS: Final = "answers"
REFUSED: Final = "refused: nothing in the guest listens on it for others (127.0.0.1 alone is not enough)"
SILENT: Final = "no answer from here within 1 s"
_UDP: Final = "not asked, since it is UDP"
_STOPPED: Final = "not asked: the guest does not run"


async def show(access: ApiAccess, name: str) -> Page:
    """Return all about a server, with what each published port answers from here now.

    Raises:
        MissingServerError: There is no such server.
    """
    async with access.client() as client:
        found = page(await _objects(access, client, name), where=access.where)
    if not found.runs:
        return dataclasses.replace(found, ports=tuple(_unasked(found.ports, _STOPPED)))
    ports = await asyncio.gather(*(asked(port) for port in found.ports[:_MOST]))
    return dataclasses.replace(found, ports=(*ports, *_unasked(found.ports[_MOST:], "not asked")))


def _unasked(ports: Iterable[Port], why: str) -> list[Port]:
    return [dataclasses.replace(port, answer=why) for port in ports]


async def asked(port: Port) -> Port:
    """Connect to a port and return it with what came of it."""
    if port.protocol != "TCP":
        return dataclasses.replace(port, answer=_UDP)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(port.address, port.port)
        writer.transport.abort()
    except ConnectionRefusedError:
        return dataclasses.replace(port, answer=REFUSED)
    except OSError:
        return dataclasses.replace(port, answer=SILENT)
    return dataclasses.replace(port, answer=ANSWERS)


async def _objects(access: ApiAccess, client: Client, name: str) -> Objects:
    server = await access.server(client, name)
    namespace, uid = access.namespace, server["metadata"]["uid"]

    async def get(resource: Resource) -> Manifest | None:
        with contextlib.suppress(NotFound):
            return await client.get(resource, name, namespace=namespace)
        return None

    machine, instance, disk, claim, services, events = await asyncio.gather(
        get(kinds.VIRTUAL_MACHINE),
        get(kinds.VIRTUAL_MACHINE_INSTANCE),
        get(kinds.DATA_VOLUME),
        get(kinds.PERSISTENT_VOLUME_CLAIM),
        client.list(kinds.SERVICE, namespace=namespace, label_selector=f"{names.UID}={uid}"),
        client.list(EVENTS, namespace=namespace, field_selector=f"involvedObject.name={name}"),
    )
    floating = set(fields.mapping(server, "status", "network", "floatingIPs"))
    floating -= {service["metadata"]["name"] for service in services}
    services += [await client.get(kinds.SERVICE, service, namespace=namespace) for service in sorted(floating)]
    return Objects(server, machine, instance, disk, claim, services, events)
