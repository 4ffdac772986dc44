"""Where packets to a guest are lost, by what was seen of each place on their way: pure.

Places are judged from the outside in, and the first counts: what comes after it sees no packet.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from virtualserver.api.network_path import Answer, Element, Loss, LossPlace

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CardSeen",
    "MachineSeen",
    "Server",
    "ServiceSeen",
    "of_address",
    "of_card",
    "of_machine",
    "of_port",
    "of_vpc_card",
]

_LISTENS: Final = "-- sudo ss -ltnp"
_TELLING: Final = ("address", "arp", "frame", "mac")
"""Reasons of the guard by which a guest is not heard; others drop what a guest sends besides."""
_DOCTOR: Final = "it is put back by itself; if this stays, an administrator of the machine runs vs doctor"


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """Whom commands name.

    Attributes:
        namespace: Its namespace.
        name: Its name.
    """

    namespace: str
    name: str

    def command(self, verb: str) -> str:
        """Return what a person types about it."""
        where = "" if self.namespace == "default" else f" -n {self.namespace}"
        return f"vs {verb} {self.name}{where}"

    def kubectl(self, verb: str, service: ServiceSeen) -> str:
        """Return what a person types about a Service."""
        return f"kubectl {verb} service {service.name} -n {self.namespace}"


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceSeen:
    """What was seen of the Service that an address is of.

    Attributes:
        name: Its name; ``""`` for an address of none.
        waits: Why it has no address, in words; ``""`` where it has.
        contested: Who else answers for its address, in words; ``""`` where nobody does.
        refused: Why the data plane does not carry it, or one of its ports, in words; ``""`` where it does.
        closed: Whether its source ranges admit nobody.
    """

    name: str = ""
    waits: str = ""
    contested: str = ""
    refused: str = ""
    closed: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class MachineSeen:
    """What was seen of the machine.

    Attributes:
        runs: Whether it runs.
        starts: Whether it is about to run, or ended and is not taken away yet.
        paused: Whether somebody paused it.
        stands_still: Why it stands still although nobody wants that, in words; ``""`` where it does not.
        message: Why it does not run, or is not ready, in words; ``""`` where it is ready.
    """

    runs: bool
    starts: bool = False
    paused: bool = False
    stands_still: str = ""
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class CardSeen:
    """What was seen of the network card on the cluster network.

    Attributes:
        mac: The guest's own hardware address.
        refused: Why the data plane does not carry it, or the machine is cut off from its tap; ``""`` where all is well.
        missing: What of it the kernel does not have.
        bounded: Whether the guest met the bound of its flows within the last minute.
        taken: Whether the guest took its address since this start.
        heard: The hardware address that answers for the guest's address; ``""``: none.
        grown: How many packets of the guest's were dropped while it was asked, by reason.
    """

    mac: str
    refused: str = ""
    missing: tuple[str, ...] = ()
    bounded: bool = False
    taken: bool = True
    heard: str = ""
    grown: Mapping[str, int] = dataclasses.field(default_factory=dict[str, int])


def of_address(
    server: Server, service: ServiceSeen, machine: MachineSeen, card: CardSeen | None, element: Element
) -> Loss | None:
    """Return where packets to an address are lost that is the guest's as a whole; None: nowhere that was seen."""
    before = _before_machine(server, service) or of_machine(server, machine) or _at_element(server, service, element)
    return before or of_card(server, card)


def of_port(
    server: Server,
    service: ServiceSeen,
    machine: MachineSeen,
    card: CardSeen | None,
    element: Element,
    answer: Answer,
) -> Loss | None:
    """Return where packets to a published port are lost; None: nowhere that was seen."""
    before = (
        _before_machine(server, service)
        or of_machine(server, machine)
        or _at_element(server, service, element)
        or _at_readiness(server, machine, element)
        or _at_flows(server, card)
    )
    if before is not None or answer is Answer.ANSWERS:
        return before
    if loss := of_card(server, card):
        return loss
    if answer is Answer.REFUSED:
        return Loss(
            LossPlace.PORT,
            "the guest refuses: nothing in it listens on this port for others (127.0.0.1 alone is not enough)",
            f"look what listens: {server.command('ssh')} {_LISTENS}; have the program bind to 0.0.0.0",
        )
    if answer in (Answer.SILENT, Answer.UNREACHABLE):
        return Loss(
            LossPlace.GUEST,
            "the guest answers for its address, and not on this port: a firewall in it drops the packets, or it hangs",
            f"open the port in the guest's firewall: {server.command('console')}",
        )
    return None


def of_card(server: Server, card: CardSeen | None) -> Loss | None:
    """Return where packets to a guest that runs are lost, whatever the port; None: nowhere that was seen."""
    if card is None:
        return Loss(
            LossPlace.CARD,
            "the guest has no card in the cluster network, so that only its own networks reach it",
            f"take disableK8sNetworking out of spec.network, and {server.command('restart')}",
        )
    if loss := of_vpc_card(server, card.refused, card.missing) or _at_flows(server, card):
        return loss
    if card.heard not in ("", card.mac):
        return Loss(
            LossPlace.GUARD,
            f"the guest answers by the hardware address {card.heard}, and its card has {card.mac}: what it sends is "
            "dropped",
            "take the other address off the card in the guest, or write it into spec.network.macAddress",
        )
    return _at_guard(card) or _at_lease(server, card)


def of_machine(server: Server, machine: MachineSeen) -> Loss | None:
    """Return why nothing reaches a guest that does not run; None: it runs."""
    if not machine.runs:
        told = machine.message or "the guest does not run"
        wait = f"wait; {server.command('show')} has the next step"
        return Loss(LossPlace.MACHINE, told, wait if machine.starts else f"start it: {server.command('start')}")
    if machine.paused:
        return Loss(LossPlace.MACHINE, "the guest is paused", f"let it go on: {server.command('start')}")
    if machine.stands_still:
        return Loss(LossPlace.MACHINE, machine.stands_still, "an administrator makes room; it then goes on by itself")
    return None


def of_vpc_card(server: Server, refused: str, missing: tuple[str, ...]) -> Loss | None:
    """Return why nothing passes by a card, as far as the host's side of it goes; arguments as `CardSeen` has them."""
    if refused:
        return Loss(LossPlace.CARD, refused, f"restart it: {server.command('restart')}")
    if missing:
        told = f"the kernel does not have what belongs to the guest's card: {', '.join(missing)}"
        return Loss(LossPlace.CARD, told, _DOCTOR)
    return None


def _before_machine(server: Server, service: ServiceSeen) -> Loss | None:
    if service.waits:
        next_step = f"the message says what it waits for; {server.command('show')} has the next step"
        return Loss(LossPlace.ADDRESS, service.waits, next_step)
    if service.contested:
        return Loss(
            LossPlace.UPLINK,
            service.contested,
            "give the other machine another address, or take another for the Service",
        )
    if service.refused:
        return Loss(LossPlace.RULES, service.refused, f"change it: {server.kubectl('edit', service)}")
    if service.closed:
        return Loss(
            LossPlace.SOURCES,
            "the source ranges of the Service admit nobody",
            "write networks such as 192.0.2.0/24 into spec.loadBalancerSourceRanges, or none for everybody: "
            f"{server.kubectl('edit', service)}",
        )
    return None


def _at_element(server: Server, service: ServiceSeen, element: Element) -> Loss | None:
    if element is Element.MISSING:
        return Loss(LossPlace.ELEMENT, "the kernel's map does not have it", _DOCTOR)
    if element is Element.NONE:
        return Loss(
            LossPlace.ELEMENT,
            "it is not published",
            f"wait a second; if this stays, its conditions say why: {server.kubectl('get', service)} -o yaml",
        )
    return None


def _at_readiness(server: Server, machine: MachineSeen, element: Element) -> Loss | None:
    if element not in (Element.WITHHELD, Element.OTHERS):
        return None
    where = "go to other guests" if element is Element.OTHERS else "are not let in"
    why = machine.message or "it has been told to end, or is not seen to be ready yet"
    look = f"look in the guest: {server.command('ssh')} {_LISTENS}"
    return Loss(LossPlace.READINESS, f"the guest is not ready, so that new connections {where}: {why}", look)


def _at_flows(server: Server, card: CardSeen | None) -> Loss | None:
    if card is None or not card.bounded:
        return None
    return Loss(
        LossPlace.FLOWS,
        "the guest has as many open flows as it may have, or opens them as fast as it may: new ones are dropped",
        f"end connections in it: {server.command('ssh')} -- ss -s",
    )


def _at_guard(card: CardSeen) -> Loss | None:
    """Return that the guest was dropped while it was asked: of what it sends otherwise nobody can tell that."""
    told = ", ".join(f"{reason} ({card.grown[reason]})" for reason in _TELLING if reason in card.grown)
    if card.heard or not told:
        return None
    return Loss(
        LossPlace.GUARD,
        f"the guest does not answer for its address, and what it sent meanwhile was dropped: {told}",
        "have the guest take its address by DHCP and keep the hardware address of its card",
    )


def _at_lease(server: Server, card: CardSeen) -> Loss | None:
    if card.heard:
        return None
    if not card.taken:
        return Loss(
            LossPlace.LEASE,
            "the guest has not asked for its address since this start: it boots, or has no DHCP client",
            f"read what it says: {server.command('logs')}",
        )
    return Loss(
        LossPlace.ARP,
        "the guest took its address and does not answer for it any more: its network is down, or it hangs",
        f"look at it by its console: {server.command('console')}; or {server.command('restart')}",
    )
