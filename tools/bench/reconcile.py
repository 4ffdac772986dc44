"""100 VirtualServers that do not start, to all that they consist of: the operator against a bare client.

The bare client sends the very requests that the operator sent for such servers, as recorded from it once: the same
bodies, children, status updates and Events, in the same order, stage by stage, by as many workers. It reads nothing,
watches nothing and decides nothing. Both times are the API server's own, from its audit log: from the first
VirtualServer's arrival to the answer to the last write.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import yarl

from bench import audit
from bench.figures import Figure, ratio
from harness import control_plane as plane
from harness import virtualservers
from harness.operator_cluster import NAMESPACE, Cluster
from virtualserver import controlplane
from virtualserver.api.mac import MacKey
from virtualserver.host.followed import Followed
from virtualserver.kube import kubeconfig
from virtualserver.kube.client import Client
from virtualserver.operator import process
from virtualserver.operator.kinds import VIRTUAL_SERVER
from virtualserver.plan.sites.site import Site

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from virtualserver.installation.installation import Installation

__all__ = ["SECONDS", "measure"]

SECONDS = 90
"""About how long `measure` takes."""

_SERVERS = 100
_ROUNDS = 5
_LOADERS = 8
_PARTS = {"virtualservers", "virtualmachines", "datavolumes", "services", "secrets", "events", "virtualservers/status"}
_NAMES = re.compile(rb"\bs\d{3}\b")


@dataclasses.dataclass
class _Request:
    """One write that the operator sent."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    content_type: str
    begun: float
    ended: float = 0.0

    @property
    def is_event(self) -> bool:
        """Whether it writes an Event, which nobody waits for."""
        return self.path.endswith("/events")

    @property
    def server(self) -> str:
        """The name of the server that it was sent for."""
        found = _NAMES.search(self.path.encode()) or _NAMES.search(self.body)
        assert found, f"{self.method} {self.path} is for no server"
        return found.group().decode()


class _Recording(Client):
    """A client that writes down what it sends."""

    def __init__(self, credentials: kubeconfig.Credentials) -> None:
        super().__init__(credentials, user_agent="recorded")
        self.requests: list[_Request] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Any = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, Any]:
        asked: dict[str, Any] = {"query": query, "body": body, "content_type": content_type, "accept": accept}
        if method not in ("POST", "PATCH", "DELETE") or "/leases" in path:
            return await super().request(method, path, **asked)
        sent = _Request(method, path, query or {}, msgspec.json.encode(body), content_type, time.monotonic())
        self.requests.append(sent)
        answer = await super().request(method, path, **asked)
        sent.ended = time.monotonic()
        return answer


@dataclasses.dataclass
class _Recorded:
    """What the operator sent, about which namespace and which UIDs of servers."""

    namespace: str
    uids: dict[str, str]
    requests: list[_Request]


class _Bare:
    """Sends requests and reads the answers' bytes."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    async def send(self, method: str, path: str, query: Mapping[str, str], body: bytes, content_type: str) -> bytes:
        """Send one request, which must succeed."""
        url = yarl.URL(f"{self._server}{path}").with_query(dict(query))
        headers = {"Content-Type": content_type}
        async with self._session.request(method, url, data=body, headers=headers) as answer:
            content = await answer.read()
            assert answer.status < 300, f"{method} {path}: {answer.status}: {content[:500]!r}"
            return content


class _Replay:
    """Does with new servers what was recorded of others, with nothing to look at and nothing to decide."""

    def __init__(self, bare: _Bare, namespace: str, recorded: _Recorded) -> None:
        self.servers: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.events: asyncio.Queue[tuple[_Request, str]] = asyncio.Queue()
        self._bare = bare
        self._namespace = namespace
        self._recorded = recorded
        requests: dict[str, list[_Request]] = collections.defaultdict(list)
        for request in recorded.requests:
            requests[request.server].append(request)
        self._stages = {name: _stages(some) for name, some in requests.items()}

    async def work(self) -> None:
        """Write what server after server consists of, as one of the operator's workers does."""
        while True:
            name, uid = await self.servers.get()
            for stage in self._stages[name]:
                if stage[0].is_event:
                    self.events.put_nowait((stage[0], uid))
                else:
                    await asyncio.gather(*(self._send(request, uid) for request in stage))
            self.servers.task_done()

    async def tell(self) -> None:
        """Write Event after Event, as the operator's recorder does."""
        while True:
            await self._send(*await self.events.get())
            self.events.task_done()

    async def _send(self, request: _Request, uid: str) -> None:
        changes = {self._recorded.namespace: self._namespace, self._recorded.uids[request.server]: uid}
        path, body = request.path, request.body
        for old, new in changes.items():
            path, body = path.replace(old, new), body.replace(old.encode(), new.encode())
        await self._bare.send(request.method, path, request.query, body, request.content_type)


@contextlib.asynccontextmanager
async def _bare(installation: Installation) -> AsyncGenerator[_Bare]:
    credentials = kubeconfig.load_kubeconfig(installation.kubeconfig)
    connector = aiohttp.TCPConnector(ssl=credentials.tls or False, limit=0)
    headers = {"User-Agent": "bare", "Accept": "application/json", "Accept-Encoding": "identity"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield _Bare(session, credentials.server)


def measure(programs: controlplane.Programs, say: Callable[[str], None], command: str) -> list[Figure]:
    """Measure, and return the figure."""
    with plane.an_installation("bench") as installation:
        # Without kube-controller-manager, whose collecting of one round's garbage would disturb the next.
        options = controlplane.Options(components=frozenset({"etcd", "kube-apiserver"}))
        controlplane.start(installation, programs, options=options)
        installation.run_of("operator").mkdir(exist_ok=True)
        value = asyncio.run(_measure(installation, say))
    return [Figure("100 servers to all children, operator / bare client", value, "x", 1.25, command)]


async def _measure(installation: Installation, say: Callable[[str], None]) -> float:
    ours: list[float] = []
    bare: list[float] = []
    async with Client.from_kubeconfig(installation.kubeconfig, user_agent="bench") as client:
        async with _namespace(client, "bench-record") as cluster:
            recorded = await _record(installation, cluster)
        # The first round of each warms the API server up and does not count.
        for number in range(_ROUNDS + 1):
            async with _namespace(client, f"bench-ours-{number}") as cluster:
                ours.append(await _ours(installation, cluster))
                counts = _counts(installation, cluster.namespace)
            async with _namespace(client, f"bench-bare-{number}") as cluster:
                bare.append(await _replay(installation, cluster, recorded))
                same = _counts(installation, cluster.namespace)
            say(f"operator {ours[-1]:.2f} s with {counts} writes, bare client {bare[-1]:.2f} s with {same}")
    return ratio(ours[1:], bare[1:])


@contextlib.asynccontextmanager
async def _namespace(client: Client, name: str) -> AsyncGenerator[Cluster]:
    """Make a namespace, and an image; all servers in it are gone in the end, what they consisted of stays."""
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await client.create(NAMESPACE, manifest, field_manager="bench")
    cluster = Cluster(client, name)
    await cluster.image()
    yield cluster
    await client.request("DELETE", VIRTUAL_SERVER.path(namespace=name))


async def _load(bare: _Bare, namespace: str, made: Callable[[str, str], None]) -> None:
    """Create the servers, as users would."""
    names = iter([f"s{number:03}" for number in range(_SERVERS)])
    path = VIRTUAL_SERVER.path(namespace=namespace)

    async def one_after_the_other() -> None:
        for name in names:
            spec: dict[str, Any] = {"initializeRunning": False, "network": {"public": True, "tcp": {"ports": [22]}}}
            manifest = virtualservers.a_manifest(name, namespace=namespace, **spec)
            answer = await bare.send("POST", path, {}, msgspec.json.encode(manifest), "application/json")
            made(name, msgspec.json.decode(answer)["metadata"]["uid"])

    await asyncio.gather(*(one_after_the_other() for _ in range(_LOADERS)))


async def _record(installation: Installation, cluster: Cluster) -> _Recorded:
    """Run the operator in this process, and return what it sent."""
    uids: dict[str, str] = {}
    site = Followed(installation.effective_site, Site)
    mac_key = MacKey.decode(installation.mac_key.read_bytes())
    client = _Recording(kubeconfig.load_kubeconfig(installation.kubeconfigs / "operator"))
    async with _bare(installation) as bare, client:
        ready = asyncio.Event()
        task = asyncio.create_task(process.operate(client, site, mac_key, announce=ready.set))
        await ready.wait()
        await _load(bare, cluster.namespace, uids.__setitem__)
        await _settled(installation, cluster.namespace)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return _Recorded(cluster.namespace, uids, client.requests)


async def _ours(installation: Installation, cluster: Cluster) -> float:
    """Let the operator's own process do it, and return the seconds."""
    ready = installation.ready("operator")
    ready.unlink(missing_ok=True)
    with (installation.logs / "operator.log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "virtualserver.operator"),
            *("--kubeconfig", str(installation.kubeconfigs / "operator")),
            *("--site", str(installation.effective_site)),
            *("--mac-key", str(installation.operator_mac_key)),
            *("--ready-file", str(ready)),
            *("--identity", "bench"),
            stderr=log,
        )
    try:
        while not ready.exists():
            assert child.returncode is None, f"the operator ended: see {installation.logs}/operator.log"
            await asyncio.sleep(0.05)
        async with _bare(installation) as bare:
            await _load(bare, cluster.namespace, lambda name, uid: None)
        return await _settled(installation, cluster.namespace)
    finally:
        child.terminate()
        await child.wait()


async def _replay(installation: Installation, cluster: Cluster, recorded: _Recorded) -> float:
    """Send what was recorded about new servers, and return the seconds."""
    async with _bare(installation) as bare:
        replay = _Replay(bare, cluster.namespace, recorded)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(replay.work()) for _ in range(process.WORKERS)]
            tasks.append(group.create_task(replay.tell()))
            await _load(bare, cluster.namespace, lambda name, uid: replay.servers.put_nowait((name, uid)))
            await replay.servers.join()
            await replay.events.join()
            for task in tasks:
                task.cancel()
    return await _settled(installation, cluster.namespace)


def _stages(requests: list[_Request]) -> list[list[_Request]]:
    """Return a server's requests in their order; what was sent before the answer to the one before came, beside it."""
    stages: list[list[_Request]] = []
    together: list[_Request] = []
    for request in sorted(requests, key=lambda request: request.begun):
        if request.is_event:
            stages.append([request])
        elif together and request.begun < min(other.ended for other in together):
            together.append(request)
        else:
            together = [request]
            stages.append(together)
    return stages


async def _settled(installation: Installation, namespace: str) -> float:
    """Wait until nothing has been written for a second, and return how long the writing took."""
    before: list[audit.Write] = []
    while True:
        await asyncio.sleep(1)
        now = _writes(installation, namespace)
        if now and len(now) == len(before):
            return max(write.ended for write in now) - min(write.begun for write in now)
        before = now


def _writes(installation: Installation, namespace: str) -> list[audit.Write]:
    return [write for write in audit.writes(installation, namespace=namespace) if write.resource in _PARTS]


def _counts(installation: Installation, namespace: str) -> int:
    return len(_writes(installation, namespace))
