"""One pass over one server: observe, plan, apply, and report what is so afterwards.

A pass may end anywhere, and the next one goes on from what exists: nothing is remembered that matters.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from typing import TYPE_CHECKING, Any, Final, cast

from virtualserver.api import names, virtualserver
from virtualserver.api.faults import InvalidManifest
from virtualserver.kube import kinds
from virtualserver.kube.apply import Applier
from virtualserver.kube.errors import ApiError, Conflict, Forbidden, Invalid, NotFound
from virtualserver.operator import report
from virtualserver.operator.kinds import BY_KIND, VIRTUAL_SERVER
from virtualserver.plan import planning
from virtualserver.plan.judging import status as plan_status
from virtualserver.plan.objects import secret
from virtualserver.plan.values import Failure, Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.kube.client import Client
    from virtualserver.kube.events import Recorder
    from virtualserver.kube.objects import Key
    from virtualserver.operator.world import World
    from virtualserver.plan.sites.site import Site
    from virtualserver.plan.values import Apply, Observed, Plan, Removal

__all__ = ["Reconciler"]

_logger = logging.getLogger(__name__)

_SECRET_SECONDS: Final = 3.0
"""How often a Secret that is not ours, which is not followed, is looked for while a server waits for it."""


class Reconciler:
    """Carries out the plans of servers.

    Args:
        client: An entered client.
        world: What exists.
        site: The site profile.
        recorder: Writes the Events.
    """

    def __init__(self, client: Client, world: World, site: Site, recorder: Recorder) -> None:
        self._client = client
        self._world = world
        self._site = site
        self._recorder = recorder
        self._applier = Applier(client, field_manager=names.OPERATOR_MANAGER, hash_annotation=names.APPLIED)
        self._obstructed: set[Key] = set()

    async def reconcile(self, key: Key) -> float | None:
        """Bring one server nearer to its manifest, and say in its status how far it is.

        Returns:
            Seconds after which to look again, None for not until something changes.

        Raises:
            ApiError: The API server refused something, or is away; the status says so where it can.
        """
        manifest = self._world.get(VIRTUAL_SERVER, key)
        if manifest is None:
            self._obstructed.discard(key)
            return None
        try:
            server = virtualserver.decode(manifest)
        except InvalidManifest as error:
            await self._report(key, plan_status.invalid(manifest, error.faults))
            return None
        secrets = await self._secrets(server)
        observed = self._world.observe(server, secrets=secrets)
        plan = planning.plan(server, observed, self._site)
        work = _Pass(self, server, observed)
        await work.carry_out(plan)
        if work.did or work.errors or work.obstructed:
            secrets = await self._secrets(server)
            plan = planning.plan(
                server, self._world.observe(server, secrets=secrets, failures=work.failures), self._site
            )
        await self._report(key, plan.status)
        if work.errors:
            raise work.errors[0]
        return self._look_again(server, key, plan)

    async def _secrets(self, server: VirtualServer) -> dict[str, Manifest]:
        """Read the Secrets that a server refers to, and one that is not ours and has the name of its own."""
        wanted = {reference.name for reference in secret.references(server)}
        if (server.namespace, server.name) in self._obstructed:
            wanted.add(secret.secret_name(server))
        found: dict[str, Manifest] = {}
        for name in sorted(wanted):
            try:
                found[name] = await self._client.get(kinds.SECRET, name, namespace=server.namespace)
            except NotFound:
                continue
        if secret.secret_name(server) not in found:
            self._obstructed.discard((server.namespace, server.name))
        return found

    def _look_again(self, server: VirtualServer, key: Key, plan: Plan) -> float | None:
        waiting = any(item["reason"] in ("WaitingForSecret", "SecretNameTaken") for item in plan.status["conditions"])
        return _SECRET_SECONDS if waiting or key in self._obstructed else None

    async def _report(self, key: Key, status: Mapping[str, Any]) -> None:
        """Write the status, and an Event if there is something new to tell."""
        live = self._world.get(VIRTUAL_SERVER, key)
        if live is None:
            return
        before = cast("Mapping[str, Any] | None", live.get("status"))
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            written = await self._applier.apply_status(VIRTUAL_SERVER, live, report.with_times(status, before, now=now))
        except NotFound:
            return
        if written is None:
            return
        self._world.remember(VIRTUAL_SERVER, written)
        notice = report.notice(status, before)
        if notice:
            self.tell(live, notice)

    def tell(self, about: Manifest, notice: report.Notice) -> None:
        """Emit an Event about a server."""
        kind = "Warning" if notice.type == "Warning" else "Normal"
        self._recorder.emit(about, type=kind, reason=notice.reason, message=notice.message)

    async def apply(self, apply: Apply, live: Manifest | None) -> str:
        """Write one object, and return what was done to it; ``""`` where it was so.

        Args:
            apply: What to write.
            live: The object as it was when this was planned: what is locked was decided by it.
        """
        resource = BY_KIND[apply.manifest["kind"]]
        written = await self._applier.apply(resource, apply.manifest, live=live, locked=apply.locked)
        if written is None:
            return ""
        self._world.remember(resource, written)
        return "Created" if live is None else "Updated"

    async def remove(self, removal: Removal) -> None:
        """Delete one object of ours."""
        await self._client.delete(BY_KIND[removal.kind], removal.name, namespace=removal.namespace, uid=removal.uid)

    def obstruct(self, server: VirtualServer) -> None:
        """Note that a Secret of the needed name exists that is not ours."""
        self._obstructed.add((server.namespace, server.name))


class _Pass:
    """The writes of one pass."""

    def __init__(self, reconciler: Reconciler, server: VirtualServer, observed: Observed) -> None:
        self._observed = observed
        self._reconciler = reconciler
        self._server = server
        self.did: dict[str, list[str]] = {}
        self.failures: tuple[Failure, ...] = ()
        self.errors: list[ApiError] = []
        self.obstructed = False

    async def carry_out(self, plan: Plan) -> None:
        """Apply the stages one after the other, then remove; what fails ends it after its stage."""
        try:
            for stage in plan.stages:
                outcomes = await asyncio.gather(*(self._apply(apply) for apply in stage), return_exceptions=True)
                for outcome in outcomes:
                    if isinstance(outcome, BaseException):
                        raise outcome
                if self.errors or self.obstructed:
                    return
            for removal in plan.removals:
                await self._reconciler.remove(removal)
                self.did.setdefault("Deleted", []).append(f"{removal.kind} {removal.name}")
        finally:
            self._tell()

    async def _apply(self, apply: Apply) -> None:
        kind, name = apply.manifest["kind"], apply.manifest["metadata"]["name"]
        try:
            done = await self._reconciler.apply(apply, self._observed.of_kind(kind, name))
        except Conflict:
            if kind != "Secret":
                raise
            # Only our own Secrets are followed: this one is somebody else's, and is read from now on.
            self._reconciler.obstruct(self._server)
            self.obstructed = True
        except (Forbidden, Invalid) as error:
            self.failures += (Failure(kind, name, error.message),)
            self.errors.append(error)
        else:
            if done:
                self.did.setdefault(done, []).append(f"{kind} {name}")

    def _tell(self) -> None:
        about = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": self._server.name, "namespace": self._server.namespace, "uid": self._server.uid},
        }
        for word, objects in self.did.items():
            self._reconciler.tell(about, report.Notice("Normal", word, f"{word} {', '.join(sorted(objects))}"))
