"""``network.virtualservers.coreweave.com``: pools, who has which address, and the site's words; to be read only.

kube-apiserver has checked RBAC. What is of no namespace names every holder, and a role that is bound in a namespace
does not reach it: also not by a path that puts it into one, which is not served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.node.allocation import holdings
from virtualserver.node.served import answers, tables, views
from virtualserver.node.services.quotas import quota_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from virtualserver.fabric.dataplane import DataPlane
    from virtualserver.kube.cache import Cache
    from virtualserver.node.allocation.allocations import Allocations
    from virtualserver.node.served.paths import Paths
    from virtualserver.node.served.tables import View
    from virtualserver.plan.sites.site import Site

__all__ = ["GROUP", "VERSION", "Networking"]

GROUP: Final = names.NETWORK_GROUP
VERSION: Final = names.VERSION
_ROOT: Final = f"/apis/{GROUP}/{VERSION}"


class Networking:
    """Answers what is asked of addresses."""

    def __init__(
        self, cache: Cache, allocations: Allocations, dataplane: DataPlane, site: Callable[[], Site], paths: Paths
    ) -> None:
        """Name what it reads.

        Args:
            cache: Has the Namespaces.
            allocations: Who has what.
            dataplane: Has the installation's networks, and the machine's own address.
            site: Returns what the administrator says of this place, as it holds now.
            paths: Looks at the ways to servers.
        """
        self._cache = cache
        self._allocations = allocations
        self._dataplane = dataplane
        self._site = site
        self._paths = paths

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Serve it."""
        router.add_get(_ROOT, _resources)
        router.add_get(f"{_ROOT}/namespaces/{{namespace}}/{names.PLURAL}/{{name}}/path", self._paths.serve)
        found: Mapping[str, Callable[[str], Iterator[dict[str, Any]]]] = {
            views.POOLS.resource.plural: self._pools,
            views.NAMESPACE_POOLS.resource.plural: self._namespace_pools,
            views.SITES.resource.plural: self._sites,
        }
        for view in views.VIEWS:
            plural = view.resource.plural
            several, one = _several(view, found[plural]), _one(view, found[plural])
            router.add_get(f"{_ROOT}/{plural}", several)
            if view.resource.namespaced:
                router.add_get(f"{_ROOT}/namespaces/{{namespace}}/{plural}", several)
                router.add_get(f"{_ROOT}/namespaces/{{namespace}}/{plural}/{{name}}", one)
            else:
                router.add_get(f"{_ROOT}/{plural}/{{name}}", one)

    def _pools(self, namespace: str) -> Iterator[dict[str, Any]]:
        del namespace
        yield from map(views.pool, self._uses())

    def _namespace_pools(self, namespace: str) -> Iterator[dict[str, Any]]:
        uses, site = self._uses(), self._site()
        for one in self._namespaces(namespace):
            name, quota = one["metadata"]["name"], quota_of(one, site.quotas)
            opened = site.opened_to(name)
            for use in uses:
                yield views.namespace_pool(use, name, quota, is_opened=use.name in opened)

    def _sites(self, namespace: str) -> Iterator[dict[str, Any]]:
        site = self._site()
        for one in self._namespaces(namespace):
            yield views.site(site, one["metadata"]["name"])

    def _uses(self) -> list[holdings.PoolHoldings]:
        return holdings.uses(self._dataplane.ranges, self._allocations.all(), host=self._dataplane.host_address)

    def _namespaces(self, namespace: str) -> list[Any]:
        """Return the Namespaces that are asked about, by name; all where none is named."""
        if namespace:
            one = self._cache.get(kinds.NAMESPACE, ("", namespace))
            return [one] if one is not None else []
        return sorted(self._cache.all(kinds.NAMESPACE), key=lambda one: one["metadata"]["name"])


def _several(
    view: View, found: Callable[[str], Iterator[dict[str, Any]]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        if request.query.get("watch") in ("true", "1"):
            message = f"{view.resource.plural}: cannot be watched: list them again"
            return answers.status(405, "MethodNotAllowed", message)
        items = list(found(request.match_info.get("namespace", "")))
        return _answer(request, view, items, tables.listed(view, items))

    return answer


def _one(
    view: View, found: Callable[[str], Iterator[dict[str, Any]]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        for item in found(request.match_info.get("namespace", "")):
            if item["metadata"]["name"] == name:
                return _answer(request, view, [item], item)
        raise answers.refusal(web.HTTPNotFound, "NotFound", f'{view.resource.plural}.{GROUP} "{name}" not found')

    return answer


def _answer(request: web.Request, view: View, items: list[dict[str, Any]], otherwise: dict[str, Any]) -> web.Response:
    """Return objects in the form that a client asks for."""
    if not tables.wants_table(request.headers.get("Accept", "")):
        return answers.content(otherwise)
    return answers.content(tables.tabled(view, items, include=request.query.get("includeObject", "Metadata")))


async def _resources(request: web.Request) -> web.Response:
    del request
    resources = [
        {
            "name": view.resource.plural,
            "singularName": view.singular,
            "namespaced": view.resource.namespaced,
            "kind": view.resource.kind,
            "verbs": ["get", "list"],
        }
        for view in views.VIEWS
    ]
    path = {"name": f"{names.PLURAL}/path", "singularName": "", "namespaced": True, "kind": "NetworkPath"}
    resources.append({**path, "verbs": ["get"]})
    answer = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}"}
    return answers.content({**answer, "resources": resources})
