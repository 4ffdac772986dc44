"""What would be made of a server, if nothing of it were there and nothing in the way: for people who look before."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

import msgspec

from virtualserver.plan.children import Children
from virtualserver.plan.network import network_of
from virtualserver.plan.objects.floating_addresses import floating_of
from virtualserver.plan.objects.table import KINDS
from virtualserver.plan.situation import Situation, Surroundings
from virtualserver.plan.user_data import user_data_of

if TYPE_CHECKING:
    from virtualserver.api.virtualserver import VirtualServer
    from virtualserver.kube.objects import Manifest
    from virtualserver.plan.sites.site import Site

__all__ = ["preview"]

_DERIVED: Final = "(one that stays, from the server's name)"
_UNSEEN: Final = "Secret"
"""What the guest is told at its first start, passwords among it, is not for looking at."""


def preview(server: VirtualServer, site: Site) -> tuple[Manifest, ...]:
    """Return the objects, in the order in which they would be applied, without the Secret.

    Args:
        server: As decoded.
        site: Where it would run.
    """
    vpc_macs = dict.fromkeys((vpc.name for vpc in server.spec.network.vpcs), _DERIVED)
    situation = Situation(
        server=server,
        site=site,
        network=network_of(server, site, derived_mac=_DERIVED, vpc_macs=vpc_macs),
        found=Children.of(()),
        children=Children.of(()),
        surroundings=Surroundings(derived_mac=_DERIVED, vpc_macs=vpc_macs),
        user_data=user_data_of(_without_passwords(server), {}),
    )
    situation = dataclasses.replace(situation, floating=floating_of(situation))
    seen = (kind for kind in KINDS if kind.resource.kind != _UNSEEN)
    return tuple(apply.manifest for kind in seen for apply in kind.planned(situation))


def _without_passwords(server: VirtualServer) -> VirtualServer:
    """Return the server as one whose users have none: to hash each takes milliseconds, and nothing shows them."""
    users = tuple(msgspec.structs.replace(user, password="") for user in server.spec.users)
    return msgspec.structs.replace(server, spec=msgspec.structs.replace(server.spec, users=users))
