"""``subresources.kubevirt.io``: what is asked of machines, behind kube-apiserver's aggregation layer.

kube-apiserver has authenticated the user and checked RBAC before it asks here, so only it may ask: the client's
certificate must be that of its front proxy. What start, stop and restart change is `requests`; what a guest that runs
is asked for is `power`; `consoles` and `forwarding` are streams. KubeVirt's other verbs are answered, and not offered.
Source: KubeVirt's API, and what virtctl was measured to need (docs/guests.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from virtualserver.api import names
from virtualserver.host.accepting import accepting
from virtualserver.kube import kinds
from virtualserver.kube.errors import ApiError, Conflict, NotFound
from virtualserver.node.ownership import is_made_by
from virtualserver.node.served import answers, bodies, definitions, networking, power
from virtualserver.node.served.console_log import ConsoleLogs
from virtualserver.node.served.consoles import Consoles
from virtualserver.node.served.forwarding import Forwarding
from virtualserver.node.served.guests import Guests
from virtualserver.node.served.rights import Rights
from virtualserver.node.served.streams import Streams
from virtualserver.node.vm import requests
from virtualserver.node.vm.requests import Rejection, StateChange

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from virtualserver.kube.cache import Cache
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest
    from virtualserver.node.held import Held
    from virtualserver.node.served.networking import Networking
    from virtualserver.node.writer import NodeWriter

__all__ = ["GROUP", "SERVED", "VERSIONS", "Subresources"]

GROUP: Final = "subresources.kubevirt.io"
VERSIONS: Final = ("v1", "v1alpha3")
"""The preferred version first; virtctl uses it, older clients the other."""
SERVED: Final = (
    (GROUP, VERSIONS),
    (networking.GROUP, (networking.VERSION,)),
    (definitions.GROUP, (definitions.VERSION,)),
)
"""The groups that the server has, each with its versions."""

_FRONT_PROXY: Final = "front-proxy-client"
_KUBEVIRT_VERSION: Final = "v1.8.2"
"""The version of KubeVirt whose API this is: virtctl compares it with its own."""
_ATTEMPTS: Final = 5
_VM_VERBS: Final = ("start", "stop", "restart")

_logger = logging.getLogger(__name__)


class Subresources:
    """The HTTPS server; one per node."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        writer: NodeWriter,
        held: Held,
        open_socket: Callable[[int, socket.SocketKind], socket.socket],
        network: Networking,
        *,
        pki: Path,
    ) -> None:
        """Name what it works on.

        Args:
            client: Reads what must not be a moment old.
            cache: What the API has.
            writer: Writes the wishes down.
            held: The machines.
            open_socket: Returns a new socket from which guests can be reached; see `Forwarding`.
            network: Answers what is asked of addresses.
            pki: The folder of certificates that the control plane made.
        """
        self._client = client
        self._writer = writer
        self._network = network
        self._pki = pki
        guests, streams = Guests(cache, held), Streams(still_has=Rights(client).still_has)
        self._consoles = Consoles(guests, streams)
        self._console_logs = ConsoleLogs(guests, streams)
        self._forwarding = Forwarding(guests, streams, open_socket)
        self._power = power.Power(guests)

    @contextlib.asynccontextmanager
    async def serve(self, port: int) -> AsyncGenerator[int]:
        """Serve on loopback and yield the port; 0, and a port that is taken, mean any that is free."""
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)
        loop, context = asyncio.get_running_loop(), self._context()

        async def listen(server: web.Server) -> asyncio.Server:
            try:
                return await loop.create_server(server, "127.0.0.1", port, ssl=context)
            except OSError:
                return await loop.create_server(server, "127.0.0.1", 0, ssl=context)

        async with accepting(runner, listen) as server:
            yield server.sockets[0].getsockname()[1]

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._pki / "node/serving.crt", self._pki / "node/serving.key")
        context.load_verify_locations(self._pki / "front-proxy-ca.crt")
        # Optional, so that who comes without a certificate is told so instead of being cut off.
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[_only_front_proxy, _as_status])
        application.router.add_get("/apis", _groups)
        for version in VERSIONS:
            root = f"/apis/{GROUP}/{version}"
            application.router.add_get(root, _resources)
            application.router.add_get(f"{root}/version", _version)
            vm = root + "/namespaces/{namespace}/virtualmachines/{name}"
            for verb in _VM_VERBS:
                application.router.add_put(f"{vm}/{verb}", self._change)
            vmi = root + "/namespaces/{namespace}/virtualmachineinstances/{name}"
            application.router.add_get(f"{vmi}/console", self._consoles.serial)
            # Of the same resource for kube-apiserver: who may use the console may read what came by it.
            application.router.add_get(f"{vmi}/console/log", self._console_logs.serve)
            application.router.add_get(f"{vmi}/vnc", self._consoles.vnc)
            for verb in power.VERBS:
                application.router.add_put(f"{vmi}/{verb}", self._power.ask)
            for one in (vm, vmi):
                for path in ("{port}", "{port}/{protocol}"):
                    application.router.add_get(f"{one}/portforward/{path}", self._forwarding.forward)
            application.router.add_route("*", f"{root}/{{rest:.*}}", _not_offered)
        self._network.add_to(application.router)
        root = f"/apis/{definitions.GROUP}/{definitions.VERSION}"
        application.router.add_get(root, _old_definitions)
        application.router.add_get(f"{root}/customresourcedefinitions/{{name}}", self._definition)
        return application

    async def _definition(self, request: web.Request) -> web.Response:
        """Answer with a definition as clients of the old version know it."""
        name = request.match_info["name"]
        live = await self._client.get(kinds.CUSTOM_RESOURCE_DEFINITION, name)
        return answers.content(definitions.as_v1beta1(live))

    async def _change(self, request: web.Request) -> web.Response:
        """Write the wish down; carrying it out is the controllers' matter."""
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        verb = request.path.rpartition("/")[2]
        body = await bodies.read(request)
        for attempt in range(_ATTEMPTS):
            vm = await self._get(name, namespace)
            vmi = await self._vmi(vm)
            wish = _wish(verb, vm, vmi, body)
            if isinstance(wish, Rejection):
                message = f'Operation cannot be fulfilled on virtualmachine.kubevirt.io "{name}": {wish.message}'
                return answers.status(409, "Conflict", message, name=name)
            if bodies.is_dry_run(body):
                return answers.status(202, "", "", name=name)
            try:
                await self._write(vm, vmi, wish)
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            break
        _logger.info("%s/%s: %s by %s", namespace, name, verb, request.headers.get("X-Remote-User", "unknown"))
        return answers.status(202, "", "", name=name)

    async def _get(self, name: str, namespace: str) -> Manifest:
        try:
            return await self._client.get(kinds.VIRTUAL_MACHINE, name, namespace=namespace)
        except NotFound:
            raise answers.not_found("virtualmachine", name) from None

    async def _vmi(self, vm: Manifest) -> Manifest | None:
        """Return a machine's own VMI; one of its name that an earlier machine left takes no wishes for it."""
        metadata = vm["metadata"]
        try:
            found = await self._client.get(
                kinds.VIRTUAL_MACHINE_INSTANCE, metadata["name"], namespace=metadata["namespace"]
            )
        except NotFound:
            return None
        return found if is_made_by(vm, found) else None

    async def _write(self, vm: Manifest, vmi: Manifest | None, wish: StateChange) -> None:
        lock = {"resourceVersion": vm["metadata"]["resourceVersion"]}
        if wish.grace_seconds is not None and vmi is not None:
            grace = {"spec": {"terminationGracePeriodSeconds": wish.grace_seconds}}
            await self._writer.patch(kinds.VIRTUAL_MACHINE_INSTANCE, vmi, grace)
        if wish.requests is not None:
            status = {"stateChangeRequests": [dict(one) for one in wish.requests] or None}
            written = await self._writer.patch(
                kinds.VIRTUAL_MACHINE, vm, {"metadata": lock, "status": status}, subresource="status"
            )
            if written is not None:
                lock = {"resourceVersion": written["metadata"]["resourceVersion"]}
        if wish.run_strategy is not None:
            # "running" is the old form of the same wish; the two exclude each other.
            spec = {"runStrategy": wish.run_strategy, "running": None}
            await self._writer.patch(kinds.VIRTUAL_MACHINE, vm, {"metadata": lock, "spec": spec})


def _wish(verb: str, vm: Manifest, vmi: Manifest | None, body: dict[str, Any]) -> StateChange | Rejection:
    if verb == "start":
        return requests.start(vm, vmi, paused=body.get("paused") is True)
    if verb == "stop":
        return requests.stop(vm, vmi, grace_seconds=bodies.grace_seconds(body, "gracePeriod"))
    return requests.restart(vm, vmi, grace_seconds=bodies.grace_seconds(body, "gracePeriodSeconds"))


@web.middleware
async def _only_front_proxy(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    certificate: dict[str, Any] = (request.get_extra_info("peercert") or {}) if request.transport else {}
    subject = [pair for part in certificate.get("subject", ()) for pair in part]
    if ("commonName", _FRONT_PROXY) not in subject:
        return answers.status(401, "Unauthorized", "only kube-apiserver's front proxy may ask here: use the API server")
    return await handler(request)


@web.middleware
async def _as_status(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer faults as a Kubernetes Status, which clients print."""
    try:
        return await handler(request)
    except ApiError as error:
        return answers.status(error.status or 503, error.reason, error.message)
    except web.HTTPException as error:
        if error.content_type == "application/json":
            raise
        return answers.status(error.status, error.reason, f"{request.method} {request.path}: {error.reason}")


async def _groups(request: web.Request) -> web.Response:
    del request
    groups: list[dict[str, Any]] = []
    for name, found in SERVED:
        versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in found]
        groups.append({"name": name, "versions": versions, "preferredVersion": versions[0]})
    return answers.content({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})


async def _old_definitions(request: web.Request) -> web.Response:
    del request
    return answers.content(definitions.resource_list())


async def _not_offered(request: web.Request) -> web.Response:
    """Answer what KubeVirt has besides: hotplug, migration, memory dumps, what a guest agent says."""
    parts = request.match_info["rest"].split("/")
    # namespaces/NAMESPACE/RESOURCE/NAME/SUBRESOURCE, or something of the whole installation
    resource, name, subresource = (parts[2], parts[3], "/".join(parts[4:])) if len(parts) > 4 else (parts[-1], "", "")
    message = (
        f"{request.method} {'/'.join(filter(None, (resource, subresource)))}: not offered on one machine; offered are "
        f"{', '.join((*_VM_VERBS, *power.VERBS))}, console, vnc and portforward"
    )
    return answers.status(405, "MethodNotAllowed", message, name=name)


async def _resources(request: web.Request) -> web.Response:
    def resource(name: str, kind: str, verb: str) -> dict[str, Any]:
        return {"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": [verb]}

    vm, vmi = kinds.VIRTUAL_MACHINE, kinds.VIRTUAL_MACHINE_INSTANCE
    resources = [resource(f"{vm.plural}/{verb}", vm.kind, "update") for verb in _VM_VERBS]
    resources += [resource(f"{vmi.plural}/{verb}", vmi.kind, "update") for verb in power.VERBS]
    resources += [resource(f"{vmi.plural}/{name}", vmi.kind, "get") for name in ("console", "vnc", "portforward")]
    resources.append(resource(f"{vm.plural}/portforward", vm.kind, "get"))
    version = request.path.rpartition("/")[2]
    return answers.content(
        {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{GROUP}/{version}",
            "resources": resources,
        }
    )


async def _version(request: web.Request) -> web.Response:
    return answers.content(
        {
            "gitVersion": _KUBEVIRT_VERSION,
            "gitCommit": "",
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "",
            "compiler": names.NODE_MANAGER,
            "platform": "linux/amd64",
        }
    )
