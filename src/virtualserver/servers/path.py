"""The way of packets to a server, as the machine that runs it sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.api import network_path
from virtualserver.kube.errors import NotFound
from virtualserver.servers.errors import ServerError
from virtualserver.servers.subresources import PATH

if TYPE_CHECKING:
    from virtualserver.api.network_path import NetworkPath
    from virtualserver.servers.access import ApiAccess

__all__ = ["path"]


async def path(access: ApiAccess, name: str) -> NetworkPath:
    """Return the way of packets to a server; the node looks at it now, for two seconds at most.

    Raises:
        MissingServerError: There is no such server.
        ServerError: Nobody serves this there.
    """
    async with access.client() as client:
        await access.server(client, name)
        try:
            found = await client.request("GET", PATH.path(namespace=access.namespace, name=name, subresource="path"))
        except NotFound as error:
            raise ServerError(
                f"{access.credentials.server} does not serve {PATH.group}: {error.message}",
                remedy=f"It is a cluster, or an instance of an earlier version: {access.command('show', name)}",
            ) from error
    return network_path.decode(found["status"])
