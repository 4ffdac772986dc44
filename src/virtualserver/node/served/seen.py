"""What objects and rules say of the way to a guest: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.api.network_path import Element
from virtualserver.fabric.desired import entries
from virtualserver.kube import fields
from virtualserver.kube.conditions import condition_of, is_true
from virtualserver.machines.ends import Running
from virtualserver.node.events import RULES_REFUSED
from virtualserver.node.objects import is_final
from virtualserver.node.served.losses import MachineSeen, ServiceSeen
from virtualserver.node.services import source_ranges

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from virtualserver.fabric.desired.ledger import Entry
    from virtualserver.fabric.desired.state import Address, ServiceRules
    from virtualserver.kube.objects import Manifest
    from virtualserver.machines.ends import MachineState

__all__ = ["elements_of", "floating_element_of", "machine_seen", "service_seen", "sources_of", "target_of"]

_NOT_CARRIED: Final = (RULES_REFUSED, "NamedTargetPort")
"""Reasons in a Service's `names.PORTS_PUBLISHED` for which packets do not come through."""
_OF_PORTS: Final = frozenset((*entries.OPEN, *entries.WITHHELD.values(), *entries.WITHHELD_TO.values()))
_OF_FLOATING: Final = frozenset((*entries.FLOATING.values(), *entries.FLOATING_TO.values()))


def service_seen(service: Manifest, *, left_out: str) -> ServiceSeen:
    """Return what is seen of a Service.

    Args:
        service: The Service.
        left_out: Why the data plane does not carry it; ``""``: it does.
    """
    assigned = condition_of(service, names.ADDRESS_ASSIGNED) or {}
    published = condition_of(service, names.PORTS_PUBLISHED) or {}
    has_none = not fields.load_balancer_addresses(service)
    not_carried = published.get("reason") in _NOT_CARRIED and published.get("status") == "False"
    return ServiceSeen(
        name=service["metadata"]["name"],
        waits=str(assigned.get("message") or "the Service has no address yet") if has_none else "",
        contested=str(assigned.get("message", "")) if assigned.get("reason") == "AddressContested" else "",
        refused=left_out or (str(published.get("message", "")) if not_carried else ""),
        closed=source_ranges.clients_of(service).networks == (),
    )


def sources_of(service: Manifest) -> tuple[str, ...] | None:
    """Return the networks that may call a Service; None: everybody may."""
    networks = source_ranges.clients_of(service).networks
    return None if networks is None else tuple(map(str, networks))


def machine_seen(vm: Manifest | None, vmi: Manifest | None, state: MachineState | None) -> MachineSeen:
    """Return what is seen of a server's machine.

    Args:
        vm: Its VirtualMachine; None: there is none.
        vmi: Its VMI; None: there is none.
        state: What its machine does; None: there is none.
    """
    if isinstance(state, Running):
        why = condition_of(vmi or {}, "Ready") or {}
        message = "" if is_true(vmi or {}, "Ready") else str(why.get("message") or "")
        return MachineSeen(runs=True, paused=state.is_paused, stands_still=state.message, message=message)
    waits = condition_of(vmi or {}, "Synchronized") or condition_of(vm or {}, "Failure") or {}
    return MachineSeen(
        runs=False, starts=vmi is not None and not is_final(vmi), message=str(waits.get("message") or "")
    )


def target_of(port: Manifest) -> int:
    """Return the guest's port that a port of a Service leads to; 0 where it is a name, which a machine has not."""
    target = port.get("targetPort") or port["port"]
    return target if isinstance(target, int) else 0


def elements_of(
    rules: ServiceRules | None,
    absent: Collection[Entry],
    *,
    fronts: Collection[Address],
    ports: Iterable[Manifest],
    own: Collection[Address],
) -> list[Element]:
    """Return what the kernel's map has of each port of a Service.

    Args:
        rules: What of the Service is in the data plane; None: nothing.
        absent: Entries of it that the kernel does not have.
        fronts: Where the ports are called.
        ports: The Service's ``spec.ports``.
        own: The guest's addresses.
    """
    missing = {entry.key for entry in absent if entry.kind in _OF_PORTS}
    found: dict[tuple[str, int], Element] = {}
    for one in rules.withheld if rules is not None else ():
        if one.address in fronts:
            found[one.protocol, one.port] = Element.WITHHELD
    for one in rules.ports if rules is not None else ():
        if one.address in fronts and found.get((one.protocol, one.port)) is not Element.OPEN:
            found[one.protocol, one.port] = Element.OPEN if one.target in own else Element.OTHERS
    for protocol, port in found:
        if any(f"{front} . {protocol.lower()} . {port}" in missing for front in fronts):
            found[protocol, port] = Element.MISSING
    return [found.get((port.get("protocol", "TCP"), port["port"]), Element.NONE) for port in ports]


def floating_element_of(
    rules: ServiceRules | None, absent: Collection[Entry], *, address: Address, own: Collection[Address]
) -> Element:
    """Return what the kernel's map has of a floating address; arguments as for `elements_of`."""
    floats = rules is not None and any(one.address == address and one.target in own for one in rules.floating)
    if not floats:
        return Element.NONE
    missing = {entry.key for entry in absent if entry.kind in _OF_FLOATING}
    return Element.MISSING if str(address) in missing else Element.OPEN
