"""One server with all that its conditions are judged from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from virtualserver.api import names
from virtualserver.plan import ownership
from virtualserver.plan.objects import services

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.api.conditions import ConditionStatus
    from virtualserver.api.reasons import Reason
    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.plan.sites.site import Site
    from virtualserver.plan.values import Manifest, Observed, Refusal

__all__ = ["Verdict", "View", "only_ours"]


class Verdict(NamedTuple):
    """What a condition says."""

    status: ConditionStatus
    reason: Reason
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """What the conditions are judged from.

    Attributes:
        server: As decoded.
        observed: What exists and is ours; objects of others are left out.
        site: The site profile.
        services: The Services that the server asks for.
        template: The machine's template as planned now.
        refusals: Why something is not carried out.
    """

    server: VirtualServer
    observed: Observed
    site: Site
    services: Sequence[Manifest]
    template: Mapping[str, Any]
    refusals: Sequence[Refusal]

    @property
    def balancers(self) -> list[Manifest]:
        """The load balancer Services that the server asks for."""
        return [item for item in self.services if item["spec"]["type"] == "LoadBalancer"]

    def live(self, service: Manifest) -> Manifest | None:
        """Return a desired Service as it exists, None where it does not."""
        return self.observed.services.get(service["metadata"]["name"])

    @property
    def addresses(self) -> tuple[str, ...]:
        """The server's load balancer addresses, as far as they are granted."""
        found = (self.granted(service) for service in self.balancers)
        return next((addresses for addresses in found if addresses), ())

    def granted(self, service: Manifest) -> tuple[str, ...]:
        """Return the load balancer addresses of a desired Service that are from the pool that it asks for."""
        pool = service["metadata"]["annotations"][names.METALLB_ADDRESS_POOL]
        return services.addresses(self.live(service), pool=pool)


def only_ours(server: VirtualServer, observed: Observed) -> Observed:
    """Return what was observed without the objects that belong to others."""

    def ours(manifest: Manifest | None) -> Manifest | None:
        return manifest if manifest is not None and ownership.is_ours(server, manifest) else None

    machine = ours(observed.virtual_machine)
    instance = observed.virtual_machine_instance
    of_machine = (
        machine is not None and instance is not None and ownership.owner(instance) == machine["metadata"]["uid"]
    )
    return dataclasses.replace(
        observed,
        virtual_machine=machine,
        virtual_machine_instance=instance if of_machine else None,
        data_volume=ours(observed.data_volume),
        secret=ours(observed.secret),
        services={name: service for name, service in observed.services.items() if ownership.is_ours(server, service)},
    )
