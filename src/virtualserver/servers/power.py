"""Starts, stops and restarts servers, and waits until it is so."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, Any, Final, Literal

from virtualserver.api.conditions import ConditionType, in_full
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import condition_of
from virtualserver.kube.errors import Conflict, NotFound
from virtualserver.servers import waiting
from virtualserver.servers.errors import StateError, UnfinishedError
from virtualserver.servers.subresources import INSTANCE, MACHINE
from virtualserver.servers.waiting import Seen

if TYPE_CHECKING:
    from virtualserver.host.progress import Update
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest
    from virtualserver.servers.access import ApiAccess

__all__ = ["PowerChange", "restart", "start", "stop"]

_LOOK_SECONDS: Final = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class PowerChange:
    """What became of a server that was started, stopped or restarted.

    Attributes:
        name: The server's.
        namespace: The server's.
        changed: False where it was so already.
        reason: Of its Ready condition, as seen last.
        message: The same.
    """

    name: str
    namespace: str
    changed: bool
    reason: str
    message: str


async def start(access: ApiAccess, name: str, *, seconds: float | None, update: Update) -> PowerChange:
    """Start a server, or let a paused one go on.

    Args:
        access: Of the caller.
        name: The server's.
        seconds: How long to wait until it is Ready; None: not at all.
        update: Is told what is waited for.

    Raises:
        StateError: It cannot start as things are; the message is the server's own.
        UnfinishedError: It is not Ready within the time.
    """
    async with access.client() as client:
        machine = await _machine(access, client, name)
        if _printable(machine) == "Paused":
            changed = await _ask(client, access, name, "unpause", resource_is_instance=True)
        else:
            changed = await _ask(client, access, name, "start")
            if not changed and _printable(await _machine(access, client, name)) != "Running":
                raise StateError(f"{name} cannot be started now.", remedy=f"See why: {access.command('show', name)}")
        if seconds is not None:
            await _wait_running(access, client, name, seconds=seconds, update=update, other_than="")
        return await _changed(access, client, name, changed)


async def stop(access: ApiAccess, name: str, *, force: bool, seconds: float | None, update: Update) -> PowerChange:
    """Press a server's power button, and wait until the guest has shut down.

    Args:
        access: Of the caller.
        name: The server's.
        force: Switch it off at once instead: the guest loses what it has not written.
        seconds: How long to wait until it is stopped; None: not at all.
        update: Is told what is waited for.

    Raises:
        StateError: It cannot be stopped as things are.
        UnfinishedError: It is not stopped within the time.
    """
    async with access.client() as client:
        await _machine(access, client, name)
        changed = await _ask(client, access, name, "stop", {"gracePeriod": 0} if force else {})
        if not changed and _printable(await _machine(access, client, name)) != "Stopped":
            raise StateError(f"{name} cannot be stopped now.", remedy=f"See why: {access.command('show', name)}")
        if seconds is not None:
            await _wait_stopped(access, client, name, seconds=seconds, update=update)
        return await _changed(access, client, name, changed)


async def restart(access: ApiAccess, name: str, *, force: bool, seconds: float | None, update: Update) -> PowerChange:
    """Shut a running server down and start it again; arguments and errors as for `stop` and `start`."""
    async with access.client() as client:
        machine = await _machine(access, client, name)
        before = await _instance(access, client, name)
        if not await _ask(client, access, name, "restart", {"gracePeriodSeconds": 0} if force else {}):
            word = _printable(machine) or "not taken up yet"
            raise StateError(f"{name} does not run ({word}).", remedy=f"Start it: {access.command('start', name)}")
        if seconds is not None:
            old = before["metadata"]["uid"] if before else ""
            await _wait_running(access, client, name, seconds=seconds, update=update, other_than=old)
        return await _changed(access, client, name, changed=True)


async def _ask(
    client: Client,
    access: ApiAccess,
    name: str,
    verb: Literal["start", "stop", "restart", "unpause"],
    body: dict[str, Any] | None = None,
    *,
    resource_is_instance: bool = False,
) -> bool:
    """Ask for a change, and return False where the machine is not in a state for it."""
    resource = INSTANCE if resource_is_instance else MACHINE
    path = resource.path(namespace=access.namespace, name=name, subresource=verb)
    try:
        await client.request("PUT", path, body=body or {})
    except Conflict:
        return False
    return True


async def _machine(access: ApiAccess, client: Client, name: str) -> Manifest:
    """Return a server's machine.

    Raises:
        MissingServerError: There is no such server.
        StateError: It has no machine yet.
    """
    server = await access.server(client, name)
    try:
        return await client.get(kinds.VIRTUAL_MACHINE, name, namespace=access.namespace)
    except NotFound:
        raise StateError(f"{name} has no machine yet: {waiting.told(server)}") from None


async def _instance(access: ApiAccess, client: Client, name: str) -> Manifest | None:
    try:
        return await client.get(kinds.VIRTUAL_MACHINE_INSTANCE, name, namespace=access.namespace)
    except NotFound:
        return None


async def _wait_running(
    access: ApiAccess, client: Client, name: str, *, seconds: float, update: Update, other_than: str
) -> None:
    end = time.monotonic() + seconds
    what, since = Seen.UNDER_WAY, time.monotonic()
    while True:
        server = await access.server(client, name)
        now_seen = waiting.seen(server, await _instance(access, client, name), other_than=other_than)
        if now_seen is not what:
            what, since = now_seen, time.monotonic()
        enough = waiting.tries_seconds(what)
        if enough is not None and time.monotonic() - since >= enough:
            if what in (Seen.RUNNING, Seen.SAYS_SO):
                return
            raise StateError(
                f"{name} does not run: {waiting.told(server)}", remedy=f"All about it: {access.command('show', name)}"
            )
        update(waiting.told(server), None)
        if time.monotonic() >= end:
            raise UnfinishedError(
                f"{name} is not ready after {seconds:.0f} s: {waiting.told(server)}",
                remedy=f"It goes on by itself; how far it is: {access.command('show', name)}",
            )
        await asyncio.sleep(_LOOK_SECONDS)


async def _wait_stopped(access: ApiAccess, client: Client, name: str, *, seconds: float, update: Update) -> None:
    end = time.monotonic() + seconds
    while True:
        instance = await _instance(access, client, name)
        if waiting.has_stopped(await _machine(access, client, name), instance):
            return
        grace = fields.mapping(instance or {}, "spec").get("terminationGracePeriodSeconds")
        until = f", and is switched off after {grace} s" if grace else ""
        update(f"the guest shuts down{until}", None)
        if time.monotonic() >= end:
            raise UnfinishedError(
                f"{name} still shuts down after {seconds:.0f} s{until}.",
                remedy=f"Switch it off, and lose what it has not written: {access.command('stop', '--force', name)}",
            )
        await asyncio.sleep(_LOOK_SECONDS)


async def _changed(access: ApiAccess, client: Client, name: str, changed: bool) -> PowerChange:
    server = await access.server(client, name)
    ready = condition_of(server, ConditionType.READY) or {}
    told = in_full(fields.items(server, "status", "conditions"))
    return PowerChange(name, access.namespace, changed, str(ready.get("reason") or ""), told)


def _printable(machine: Manifest) -> str:
    return str(fields.status_of(machine).get("printableStatus") or "")
