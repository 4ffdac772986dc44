"""A guest's serial and graphical console, through kube-apiserver, over websockets as virtctl opens them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from harness.node_world import a_machine, a_volume
from virtualserver.machines.ends import Running
from virtualserver.node.served.consoles import Consoles
from virtualserver.node.served.guests import Guests
from virtualserver.node.served.streams import Streams

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from harness.node_world import NodeWorld
    from virtualserver.kube.cache import Cache
    from virtualserver.node.held import Held

pytestmark = pytest.mark.timeout(600)

PROTOCOL = "plain.kubevirt.io"
LIMIT_SECONDS = 60.0


async def _for_ever(_: web.Request) -> bool:
    return True


@contextlib.asynccontextmanager
async def console(
    node: NodeWorld,
    name: str,
    kind: str = "console",
    *,
    version: str = "v1",
    resource: str = "virtualmachineinstances",
    token: str = "",
) -> AsyncGenerator[aiohttp.ClientWebSocketResponse]:
    """Connect to a console, or to a port, of a guest as the administrator does, or whoever has a token."""
    pki = node.installation.state / "pki"
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    if not token:
        context.load_cert_chain(pki / "clients/admin.crt", pki / "clients/admin.key")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    path = f"/apis/subresources.kubevirt.io/{version}/namespaces/{node.namespace}/{resource}/{name}/{kind}"
    made: list[socket.socket] = []

    def connection(address: tuple[Any, ...]) -> socket.socket:
        made.append(socket.socket(*address[:3]))
        return made[-1]

    connector = aiohttp.TCPConnector(ssl=context, socket_factory=connection)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, headers=headers) as session,
            session.ws_connect(f"{node.api.url}{path}", protocols=(PROTOCOL,), max_msg_size=0) as opened,
        ):
            yield opened
    finally:
        # The session only begins to close them, that of a refused request too.
        async with asyncio.timeout(LIMIT_SECONDS):
            while any(one.fileno() != -1 for one in made):
                await asyncio.sleep(0.01)


async def read_until(socket: aiohttp.ClientWebSocketResponse, words: bytes) -> bytes:
    """Read from a console until something was said, and return all of it."""
    heard = b""
    async with asyncio.timeout(LIMIT_SECONDS):
        async for message in socket:
            heard += message.data
            if words in heard:
                return heard
    raise AssertionError(f"the console was closed, and said {heard!r}")


async def ask_shell(socket: aiohttp.ClientWebSocketResponse, script: str) -> str:
    """Let the agent on the serial line run a script, and return what the script wrote."""
    await socket.send_bytes(f"\n@typed 20 {base64.b64encode(script.encode()).decode()}\n".encode())
    heard = await read_until(socket, b">>")
    _, _, answer = heard.partition(b"<<typed 0 ")
    return base64.b64decode(answer.partition(b">>")[0]).decode()


async def test_what_is_typed_reaches_the_guest_and_its_answer_comes_back(running: NodeWorld) -> None:
    async with console(running, "one") as socket:
        assert socket.protocol == PROTOCOL
        assert await ask_shell(socket, "echo typed; cat /sys/class/net/eth0/address") == (
            f"typed\n{running.get('vmi', 'one')['status']['interfaces'][0]['mac']}\n"
        )
    async with console(running, "one", version="v1alpha3") as socket:
        assert await ask_shell(socket, "echo again") == "again\n"


async def test_a_new_client_takes_the_console_over(running: NodeWorld) -> None:
    async with console(running, "one") as first:
        assert await ask_shell(first, "echo one") == "one\n"
        async with console(running, "one") as second:
            assert await ask_shell(second, "echo two") == "two\n"
            async with asyncio.timeout(LIMIT_SECONDS):
                while not first.closed:
                    await first.receive()


async def test_attack_who_has_no_right_to_a_console_any_more_loses_the_one_that_is_open(running: NodeWorld) -> None:
    """`vs user remove` left a shell open for as long as something was said on it."""
    kubectl, mine = running.api.kubectl, ("-n", running.namespace)
    kubectl(*mine, "create", "serviceaccount", "ada")
    account = f"--serviceaccount={running.namespace}:ada"
    kubectl(*mine, "create", "rolebinding", "ada", "--clusterrole=edit", account)
    token = kubectl(*mine, "create", "token", "ada").strip()
    async with console(running, "one", token=token) as socket:
        assert await ask_shell(socket, "echo hello") == "hello\n"
        kubectl(*mine, "delete", "rolebinding", "ada")
        async with asyncio.timeout(LIMIT_SECONDS):
            while (await socket.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                await socket.send_bytes(b"\n")


async def test_the_graphical_console_speaks_rfb(running: NodeWorld) -> None:
    async with console(running, "one", "vnc") as socket:
        assert (await read_until(socket, b"\n")).startswith(b"RFB 003.")
        await socket.send_bytes(b"RFB 003.008\n")
        # One security type, "none": who may look is kube-apiserver's matter.
        assert await read_until(socket, b"\x01\x01") == b"\x01\x01"


async def test_who_asks_for_the_console_of_no_running_guest_is_told_why(node: NodeWorld) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as failure:
        async with console(node, "nobody"):
            pass
    assert failure.value.status == 404
    # Its disk never comes, so that there is a VMI without a guest.
    node.apply(a_machine("waits"))
    await asyncio.to_thread(node.eventually, lambda: node.get("vmi", "waits"))
    with pytest.raises(aiohttp.WSServerHandshakeError) as failure:
        async with console(node, "waits"):
            pass
    assert failure.value.status == 409


class Hypervisor:
    """What plays QEMU's console: it tells how many clients it has at once."""

    def __init__(self) -> None:
        self.clients = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients += 1
        try:
            with contextlib.suppress(ConnectionError):  # one that was taken over before it was greeted
                writer.write(b"hello")
                await reader.read()
        finally:
            self.clients -= 1
            writer.close()


async def test_of_many_clients_that_come_at_once_one_has_the_console(tmp_path: Path) -> None:
    """A brother of fault 12: each of the others held two of the node's descriptors for as long as it liked."""
    qemu, sockets = Hypervisor(), tmp_path / "console"
    relays: list[asyncio.Task[object]] = []

    def machine(uid: str) -> SimpleNamespace:
        assert uid == "u"
        return SimpleNamespace(state=Running(), console=sockets)

    def get(kind: object, key: tuple[str, str]) -> dict[str, Any]:
        assert kind and key == ("m", "one")
        return {"metadata": {"uid": "u"}}

    held, cache = SimpleNamespace(machine=machine), SimpleNamespace(get=get)
    consoles = Consoles(Guests(cast("Cache", cache), cast("Held", held)), Streams(still_has=_for_ever))
    application = web.Application()
    application.router.add_get("/{namespace}/{name}", consoles.serial)
    async with await asyncio.start_unix_server(qemu.serve, sockets), TestClient(TestServer(application)) as client:

        async def connect() -> bool:
            try:
                async with client.ws_connect("/m/one", protocols=(PROTOCOL,)) as opened:
                    async for message in opened:
                        del message
                return True
            except aiohttp.WSServerHandshakeError as error:
                return error.status == 409

        relays = [asyncio.create_task(connect()) for _ in range(40)]
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                while sum(relay.done() for relay in relays) < 39 or qemu.clients != 1:
                    await asyncio.sleep(0.01)
            assert [relay.result() for relay in relays if relay.done()] == [True] * 39
        finally:
            for relay in relays:
                relay.cancel()
            await asyncio.gather(*relays, return_exceptions=True)


@pytest.mark.parametrize("resource", ["virtualmachines", "virtualmachineinstances"])
async def test_a_port_that_nobody_published_is_forwarded(running: NodeWorld, resource: str) -> None:
    async with console(running, "one", "portforward/22/tcp", resource=resource) as socket:
        assert socket.protocol == PROTOCOL
        pieces = bytes(range(256)) * 4096  # more than fits anywhere on the way
        await socket.send_bytes(pieces)
        await socket.send_bytes(b"the end")
        assert pieces in await read_until(socket, b"the end"), "the guest says all of it back, after its greeting"


async def test_datagrams_are_forwarded(running: NodeWorld) -> None:
    await asyncio.to_thread(running.guest("one").run, "agent serve udp 5300 talk")
    async with console(running, "one", "portforward/5300/udp") as socket:

        async def ask() -> None:
            while True:  # a datagram may be lost, as one that comes before the guest listens is
                await socket.send_bytes(b"ping")
                await asyncio.sleep(1)

        asking = asyncio.create_task(ask())
        try:
            assert b"ping" in await read_until(socket, b"ping")
        finally:
            asking.cancel()


@pytest.mark.parametrize(
    ("path", "status"),
    [("portforward/0/tcp", 400), ("portforward/65536", 400), ("portforward/22/sctp", 400), ("portforward/1/tcp", 500)],
)
async def test_a_port_that_cannot_be_forwarded_is_told(running: NodeWorld, path: str, status: int) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as failure:
        async with console(running, "one", path):
            pass
    assert failure.value.status == status


async def test_a_paused_guest_stands_still_until_it_is_unpaused(running: NodeWorld) -> None:
    def ask(verb: str, body: str = "{}") -> str:
        return running.ask("one", verb, body, resource="virtualmachineinstances")

    assert "VMI is not paused" in await asyncio.to_thread(ask, "unpause")
    assert '"code":202' in await asyncio.to_thread(ask, "pause", '{"dryRun":["All"]}')
    assert '"code":202' in await asyncio.to_thread(ask, "pause")
    await asyncio.to_thread(running.wait_printable, "one", "Paused")
    assert "VMI is already paused" in await asyncio.to_thread(ask, "pause")
    with pytest.raises(aiohttp.WSServerHandshakeError) as failure:
        async with console(running, "one", "portforward/22/tcp"):
            pass
    assert failure.value.status == 409
    # Whoever looks after it later knows, and nobody lets it go on.
    await asyncio.to_thread(running.stop_node)
    await asyncio.to_thread(running.start_node)
    assert running.status("vm", "one")["printableStatus"] == "Paused"
    assert running.condition("vmi", "one", "Ready")["reason"] == "Paused"
    assert '"code":202' in await asyncio.to_thread(ask, "unpause")
    await asyncio.to_thread(running.wait_printable, "one", "Running")
    async with console(running, "one") as socket:
        assert await ask_shell(socket, "echo on") == "on\n"


async def test_a_console_ends_with_its_guest(running: NodeWorld) -> None:
    async with console(running, "one") as socket:
        assert '"code":202' in await asyncio.to_thread(running.ask, "one", "stop")
        async with asyncio.timeout(LIMIT_SECONDS):
            while not socket.closed:
                await socket.receive()
    await asyncio.to_thread(running.wait_printable, "one", "Stopped")


async def test_a_soft_reboot_presses_the_button_and_starts_the_same_guest_again(running: NodeWorld) -> None:
    def boot() -> str:
        return running.guest("one").run("cat /proc/sys/kernel/random/boot_id")

    def ask(verb: str) -> str:
        return running.ask("one", verb, resource="virtualmachineinstances")

    before, vmi, process = await asyncio.to_thread(boot), running.get("vmi", "one"), running.qemu_pid("one")
    for verb in ("softreboot", "reset"):
        assert '"code":202' in await asyncio.to_thread(ask, verb)
        before = await asyncio.to_thread(_another_boot, running, before)
        assert running.get("vmi", "one")["metadata"]["uid"] == vmi["metadata"]["uid"]
        assert running.qemu_pid("one") == process
    # An end by its own will, later, is one.
    await asyncio.to_thread(running.guest("one").run, "(sleep 1; poweroff) >/dev/null 2>&1 &")
    await asyncio.to_thread(running.wait_printable, "one", "Stopped")


def _another_boot(node: NodeWorld, before: str) -> str:
    """Wait until a guest runs that has started since, and return which start that is."""

    def now() -> str:
        try:
            found = node.guest("one").run("cat /proc/sys/kernel/random/boot_id")
        except (AssertionError, OSError, TimeoutError):  # on its way down, or up
            return ""
        return "" if found == before else found

    return node.eventually(now, what="another start of the guest")


async def test_a_start_may_be_paused(node: NodeWorld) -> None:
    node.apply(a_volume("later"), a_machine("later", strategy="Halted"))
    assert '"code":202' in await asyncio.to_thread(node.ask, "later", "start", '{"paused":true}')
    await asyncio.to_thread(node.wait_printable, "later", "Paused")
    assert node.get("vmi", "later")["spec"]["startStrategy"] == "Paused"
    # The button is heard: who is stopped goes on first.
    assert '"code":202' in await asyncio.to_thread(node.ask, "later", "stop", '{"gracePeriod":0}')
    await asyncio.to_thread(node.wait_printable, "later", "Stopped")
