"""The way of packets to a server, from outside to its guest, as the node sees it at one moment: values only.

Field names are those of the JSON that the node answers. Each place where packets can be lost is a `LossPlace`; a `Loss`
is the first of them on one way, in words, with what to do.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AddressPath",
    "Answer",
    "Card",
    "Element",
    "Guest",
    "Loss",
    "LossPlace",
    "NetworkPath",
    "PortPath",
    "decode",
    "encode",
]


class LossPlace(enum.StrEnum):
    """Where packets are lost, from the outside in."""

    ADDRESS = "Address"
    """The Service has no address."""
    UPLINK = "Uplink"
    """Another machine answers for the address."""
    RULES = "Rules"
    """The data plane does not carry the Service."""
    SOURCES = "Sources"
    """The source ranges admit nobody."""
    MACHINE = "Machine"
    """The guest does not run."""
    ELEMENT = "Element"
    """The kernel's map does not have the port, or the address."""
    READINESS = "Readiness"
    """The guest is not ready, so that new connections are not let in, or go to others."""
    CARD = "Card"
    """The host's side of the guest's network card is not whole."""
    FLOWS = "Flows"
    """The guest has as many open flows as it may have."""
    LEASE = "Lease"
    """The guest did not ask for its address."""
    ARP = "ARP"
    """The guest does not answer for its address."""
    GUARD = "Guard"
    """What the guest answers is dropped."""
    PORT = "Port"
    """Nothing in the guest listens."""
    GUEST = "Guest"
    """The guest is silent."""


class Element(enum.StrEnum):
    """What the kernel's map has of a port, or of an address that leads to a guest as a whole."""

    OPEN = "open"
    """It leads to the guest."""
    OTHERS = "others"
    """It leads to other guests of the Service alone."""
    WITHHELD = "withheld"
    """It takes no new connections."""
    MISSING = "missing"
    """It should be there, and is not."""
    NONE = "none"
    """Nothing is to be there."""


class Answer(enum.StrEnum):
    """What came of a TCP connection that the node tried to the guest's port."""

    ANSWERS = "answers"
    REFUSED = "refused"
    SILENT = "silent"
    UNREACHABLE = "unreachable"
    NOT_ASKED = "not asked"
    """Since it is UDP, the guest does not run, or there are more ports than are asked."""


@dataclasses.dataclass(frozen=True, slots=True)
class Loss:
    """The first place where packets are lost.

    Attributes:
        place: Where.
        message: What is so there.
        remedy: What to do.
    """

    place: LossPlace
    message: str
    remedy: str


@dataclasses.dataclass(frozen=True, slots=True)
class PortPath:
    """A published port of an address.

    Attributes:
        port: The number that clients call.
        protocol: ``TCP`` or ``UDP``.
        target: The guest's port; 0 where the Service names none that a machine has.
        element: What the kernel's map has of it.
        answer: What came of asking the guest's port now.
        loss: Where packets to it are lost; None: nowhere that the node can see.
    """

    port: int
    protocol: str
    target: int
    element: Element
    answer: Answer
    loss: Loss | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class AddressPath:
    """An address at which others reach the server.

    Attributes:
        address: The address; ``""`` while its Service has none.
        kind: ``ports``: of a load balancer, which publishes ports; ``attached``: the card's own; ``floating``: all of
            its traffic goes to the guest; ``own``: the guest's own, inside of the cluster.
        service: The Service that it is of; ``""`` for the guest's own.
        pool: The pool that it is from; ``""`` for none.
        sources: The networks that may call it; None: everybody may.
        element: What the kernel has of an address that is the guest's as a whole.
        ports: What is published of it.
        loss: Where packets to it are lost, whatever the port; None: nowhere that the node can see.
    """

    address: str
    kind: str
    service: str
    pool: str
    sources: tuple[str, ...] | None
    element: Element
    ports: tuple[PortPath, ...] = ()
    loss: Loss | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """A network card of the guest.

    Attributes:
        name: As the machine's specification has it.
        network: The VPC that it is on; ``""``: the cluster network.
        mac: In lower case with colons.
        whole: Whether the host's side of it is there as it should be.
        lease: When the guest took its address by DHCP, in RFC 3339; ``""`` where it did not.
        heard: The hardware address that answers ARP for the guest's address now; ``""``: none does, or nobody asked.
        dropped: How many packets of the guest's were dropped, by reason.
        loss: Why nothing passes by it; None: nothing is wrong with it that the node can see.
    """

    name: str
    network: str
    mac: str
    whole: bool
    lease: str
    heard: str
    dropped: dict[str, int]
    loss: Loss | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Guest:
    """The guest behind it.

    Attributes:
        runs: Whether it runs, and is not paused.
        message: Why it does not, or does not answer as a whole; ``""`` where nothing is to be said.
        cards: Its network cards, in its own order; none while it does not run.
    """

    runs: bool
    message: str
    cards: tuple[Card, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkPath:
    """The way of packets to one server.

    Attributes:
        namespace: The server's.
        name: The server's.
        addresses: At which it is reached, those from outside first.
        names: DNS names inside of the cluster.
        guest: The guest.
        loss: The first place where packets are lost, of all ways; None: none is that the node can see.
    """

    namespace: str
    name: str
    addresses: tuple[AddressPath, ...]
    names: tuple[str, ...]
    guest: Guest
    loss: Loss | None = None


def encode(path: NetworkPath) -> dict[str, Any]:
    """Return it as JSON has it."""
    return msgspec.to_builtins(path)


def decode(content: Mapping[str, Any]) -> NetworkPath:
    """Return what JSON says.

    Raises:
        ValueError: It is none; the message has the field.
    """
    return msgspec.convert(content, NetworkPath)
