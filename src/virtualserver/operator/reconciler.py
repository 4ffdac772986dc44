"""One pass over one server: observe, plan, apply, and report the outcome.

A pass may end anywhere, and the next one goes on from what exists: nothing is remembered that matters.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Final

from virtualserver.api import names, virtualserver
from virtualserver.api.faults import InvalidManifest
from virtualserver.api.reasons import Reason
from virtualserver.kube.apply import Applier
from virtualserver.kube.errors import ApiError, Conflict, Forbidden, Invalid
from virtualserver.kube.kinds import SERVICE
from virtualserver.operator.kinds import BY_KIND, VIRTUAL_SERVER
from virtualserver.operator.observation import children_of, read_secrets, surroundings_of
from virtualserver.operator.report import Reporter
from virtualserver.plan import passwords, planning
from virtualserver.plan.judging import status as plan_status
from virtualserver.plan.objects import secret
from virtualserver.plan.situation import FailedWrite
from virtualserver.plan.user_data import passwords_of

if TYPE_CHECKING:
    from virtualserver.api.mac import MacKey
    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.host.followed import Followed
    from virtualserver.kube.cache import Cache
    from virtualserver.kube.client import Client
    from virtualserver.kube.events import Recorder
    from virtualserver.kube.objects import Key
    from virtualserver.kube.queue import Queue
    from virtualserver.kube.trouble import Trouble
    from virtualserver.plan.children import Children
    from virtualserver.plan.outcome import Apply, Plan, Removal
    from virtualserver.plan.sites.site import Site
    from virtualserver.plan.situation import Surroundings

__all__ = ["Reconciler"]

_SECRET_SECONDS: Final = 3.0
"""How often a Secret of the name that ours needs, which is somebody else's, is looked for."""
_HASH_SECONDS: Final = 0.2
"""How long passwords are hashed before other servers have their turn."""


@dataclasses.dataclass(slots=True)
class _Outcome:
    """What the writes of one pass did.

    Attributes:
        done: By reason of the Event that tells of it: the objects, as ``KIND NAME``.
        failures: Writes that the API server refused, for the status.
        error: The first refusal, None where there was none.
        is_obstructed: A Secret of the needed name exists that is not ours.
        goes_on: What is left is done behind other servers.
    """

    done: dict[str, list[str]] = dataclasses.field(default_factory=dict[str, list[str]])
    failures: tuple[FailedWrite, ...] = ()
    error: ApiError | None = None
    is_obstructed: bool = False
    goes_on: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be written in this pass."""
        return self.error is not None or self.is_obstructed


class Reconciler:
    """Carries out the plans of servers.

    Args:
        client: An entered client.
        cache: Follows `watches.watches`.
        site: The site profile; each pass takes it as it is then.
        mac_key: From which the MAC addresses follow that nobody chose.
        recorder: Writes the Events.
        queue: Where the keys come from: one whose pass leaves something to do comes back behind others.
    """

    def __init__(
        self,
        client: Client,
        cache: Cache,
        site: Followed[Site],
        mac_key: MacKey,
        recorder: Recorder,
        queue: Queue[Key],
    ) -> None:
        self._client = client
        self._cache = cache
        self._queue = queue
        self._site = site
        self._mac_key = mac_key
        self._applier = Applier(client, field_manager=names.OPERATOR_MANAGER, hash_annotation=names.APPLIED)
        self._reporter = Reporter(cache, self._applier, recorder)
        # Servers whose own Secret's name is taken by a Secret that the cache does not follow: it is read each time.
        self._obstructed: set[Key] = set()

    async def reconcile(self, key: Key) -> float | None:
        """Bring one server nearer to its manifest, and say in its status how far it is.

        Returns:
            Seconds after which to look again, None for not until something changes.

        Raises:
            ApiError: The API server refused something, or is away; the status says so where it can.
        """
        manifest = self._cache.get(VIRTUAL_SERVER, key)
        if manifest is None:
            self._obstructed.discard(key)
            self._reporter.forget(key)
            return None
        try:
            server = virtualserver.decode(manifest)
        except InvalidManifest as error:
            return await self._reporter.status(key, plan_status.invalid(manifest, error.faults))
        site = self._site.value
        children, surroundings = await self._observe(server, key)
        if not await _hash(server, surroundings):
            return self._behind_others(key)
        plan = planning.plan(server, children, surroundings, site)
        is_new = children.get("VirtualMachine", server.name) is None
        if is_new and await self._reporter.address(key, plan.status):
            return self._behind_others(key)
        outcome = await self._carry_out(server, plan, children, in_steps=key if is_new else None)
        if outcome.goes_on:
            return self._behind_others(key)
        if outcome.is_obstructed:
            self._obstructed.add(key)
        if outcome.done or outcome.is_over:
            children, surroundings = await self._observe(server, key, outcome.failures)
            plan = planning.plan(server, children, surroundings, site)
        again = await self._reporter.status(key, plan.status)
        if outcome.error:
            raise outcome.error
        waits = any(condition.reason == Reason.SECRET_NAME_TAKEN for condition in plan.status.conditions)
        if waits or key in self._obstructed:
            return _SECRET_SECONDS if again is None else min(_SECRET_SECONDS, again)
        return again

    def _behind_others(self, key: Key) -> None:
        """Have one more pass over a server once nobody waits for another one's."""
        self._queue.add(key, background=True)

    async def tell(self, key: Key, trouble: Trouble) -> None:
        """Say in a server's status that it is in trouble, and that the fault is not its owner's."""
        manifest = self._cache.get(VIRTUAL_SERVER, key)
        if manifest is not None:
            await self._reporter.status(key, plan_status.troubled(manifest, trouble))

    async def _observe(
        self, server: VirtualServer, key: Key, failures: tuple[FailedWrite, ...] = ()
    ) -> tuple[Children, Surroundings]:
        """Collect what exists of a server's names, and what matters beside that."""
        secrets = await read_secrets(self._client, server, with_own=key in self._obstructed)
        if f"{server.name}{secret.SUFFIX}" not in secrets:
            self._obstructed.discard(key)
        children = children_of(self._cache, server, secrets=secrets)
        return children, surroundings_of(self._cache, server, self._mac_key, secrets=secrets, failures=failures)

    async def _carry_out(
        self, server: VirtualServer, plan: Plan, children: Children, *, in_steps: Key | None
    ) -> _Outcome:
        """Apply the stages one after the other, then remove; what fails ends it after its stage.

        Events tell of what was done also where the pass ends by an error.

        Args:
            server: As decoded.
            plan: Its plan.
            children: From which the plan was made.
            in_steps: End after Services were made, and whenever there is news of this key: addresses, this server's and
                others', are sooner told if its disk and machine wait. None: end with all that is planned.
        """
        outcome = _Outcome()
        try:
            for stage in plan.stages:
                ends = await asyncio.gather(
                    *(self._apply(apply, children, outcome) for apply in stage), return_exceptions=True
                )
                for end in ends:
                    if isinstance(end, BaseException):
                        raise end
                if outcome.is_over:
                    return outcome
                has_services = stage[0].key[0] == SERVICE.kind
                if in_steps and outcome.done and (has_services or self._queue.has_news(in_steps)):
                    outcome.goes_on = True
                    return outcome
            for removal in plan.removals:
                await self._remove(removal, outcome)
        finally:
            self._reporter.done(server, outcome.done, goes_on=outcome.goes_on)
        return outcome

    async def _apply(self, apply: Apply, children: Children, outcome: _Outcome) -> None:
        """Write one object, unless it is as planned already, and note in the outcome what came of it.

        Args:
            apply: What to write.
            children: What the plan was made from: what of the object is locked was decided by it.
            outcome: Of the pass.
        """
        kind, name = apply.key
        resource, live = BY_KIND[kind], children.get(kind, name)
        try:
            written = await self._applier.apply(resource, apply.manifest, live=live, locked=apply.locked)
        except Conflict:
            if kind != "Secret":
                raise
            # The cache follows our own Secrets only: this one is somebody else's.
            outcome.is_obstructed = True
        except (Forbidden, Invalid) as error:
            outcome.failures += (FailedWrite(kind, name, error.message),)
            outcome.error = outcome.error or error
        else:
            if written is not None:
                self._cache.remember(resource, written)
                outcome.done.setdefault("Updated" if live else "Created", []).append(f"{kind} {name}")

    async def _remove(self, removal: Removal, outcome: _Outcome) -> None:
        """Delete one object of ours."""
        await self._client.delete(BY_KIND[removal.kind], removal.name, namespace=removal.namespace, uid=removal.uid)
        outcome.done.setdefault("Deleted", []).append(f"{removal.kind} {removal.name}")


async def _hash(server: VirtualServer, surroundings: Surroundings) -> bool:
    """Hash passwords for a while, beside the loop, and return whether all are: planning is not to wait for them."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _HASH_SECONDS
    for password in passwords_of(server, surroundings.secrets):
        if not passwords.is_known(password):
            if loop.time() > end:
                return False
            await asyncio.to_thread(passwords.hashed, password)
    return True
