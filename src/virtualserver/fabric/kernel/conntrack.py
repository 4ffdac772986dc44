"""Flows that the kernel tracks in the calling thread's network namespace: forgotten by what they are of."""

from __future__ import annotations

import collections
import dataclasses
import importlib
import os
import socket
import struct
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from virtualserver.fabric.kernel.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.state import Address, Network
    from virtualserver.fabric.kernel.netfilter import Netfilter

__all__ = ["ROLES", "Flow", "Flows", "Port", "deletion", "flow_of", "forget", "questions"]

_PROTOCOLS: Final = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_NAMES: Final = {number: name for name, number in _PROTOCOLS.items()}
_FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_ABSENT: Final = 2
_SUBSYSTEM, _GET, _DELETE = 1, 1, 2
_REQUEST, _ACKNOWLEDGE, _DUMP = 0x001, 0x004, 0x300
_ERROR, _DONE = 2, 3
_HEADER: Final = struct.Struct("=IHHII")
_FAMILY: Final = struct.Struct("=BBH")
_ATTRIBUTE: Final = struct.Struct("=HH")
_TYPE: Final = 0x3FFF
"""What of an attribute's kind is its number; the rest says how to read it."""
_NESTED: Final = 0x8000
_TUPLE_ORIG, _TUPLE_REPLY = 1, 2
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_PROTOCOL_NUMBER, _PROTOCOL_TO_PORT = 1, 3
_COUNT: Final = Path("/proc/sys/net/netfilter/nf_conntrack_count")
"""How many flows the calling thread's namespace has; the table is one for the whole machine."""
_BUFFER: Final = 1 << 16


ROLES: Final = ("by", "to", "answered_by", "answered_to")
"""What an address may be to a flow: attributes of `Flows`."""

Port = tuple[str, int]
"""``tcp`` or ``udp``, and its number."""


class Flow(NamedTuple):
    """One that the kernel tracks.

    Attributes:
        opener: Who opened it.
        called: Whom the opener called, before any translation.
        port: That the opener called; None with a protocol that has none.
        answerer: Who answers, after translation.
        answered: Whom the answers are for, after translation of the opener.
    """

    opener: Address
    called: Address
    port: Port | None
    answerer: Address
    answered: Address


@dataclasses.dataclass(frozen=True, slots=True)
class Flows:
    """Which flows; what is None does not matter.

    Attributes:
        by: Who opened them.
        to: Whom the opener called, before any translation.
        answered_by: Who answers, after translation.
        answered_to: Whom the answers are for, after translation of the opener.
        protocol: ``tcp`` or ``udp``; of any where `port` is None.
        port: That the opener called.
        spared: Flows that were opened from these networks do not count.
        kept: Nor do flows that these answer.
        apart_from: Nor do flows to these ports.
    """

    by: Address | None = None
    to: Address | None = None
    answered_by: Address | None = None
    answered_to: Address | None = None
    protocol: str = "tcp"
    port: int | None = None
    spared: tuple[Network, ...] = ()
    kept: tuple[Address, ...] = ()
    apart_from: tuple[Port, ...] = ()

    def __contains__(self, flow: Flow) -> bool:
        """Return whether a flow is one of them."""
        return (
            self.by in (None, flow.opener)
            and self.to in (None, flow.called)
            and self.answered_by in (None, flow.answerer)
            and self.answered_to in (None, flow.answered)
            and (self.port is None or flow.port == (self.protocol, self.port))
            and flow.port not in self.apart_from
            and flow.answerer not in self.kept
            and not any(flow.opener in network for network in self.spared)
        )


def forget(netfilter: Netfilter, several: Iterable[Flows]) -> None:
    """Make the kernel forget flows of the calling thread's namespace.

    It finds those of one address by a walk through the table of the whole machine, which takes some milliseconds,
    however many of its ports are to end.

    Args:
        netfilter: The conversation about their namespace.
        several: Which flows.

    Raises:
        KernelError: The kernel refused it.
    """
    if _COUNT.exists() and int(_COUNT.read_text()) == 0:
        return
    for asked, ends in questions(several).items():
        by_port = collections.defaultdict[Port | None, list[Flows]](list)
        for one in ends:
            by_port[None if one.port is None else (one.protocol, one.port)].append(one)
        for answer in _ask(netfilter.socket, _question(asked)):
            flow = flow_of(answer)
            if any(flow in one for key in {None, flow.port} for one in by_port.get(key, ())):
                _ask(netfilter.socket, deletion(answer))


def questions(several: Iterable[Flows]) -> dict[Flows, list[Flows]]:
    """Return what to ask the kernel for, and what of each answer is to end; pure."""
    by_address: dict[Flows, list[Flows]] = {}
    for flows in several:
        by_address.setdefault(_of_address(flows), []).append(flows)
    # One port's alone are found without a look at those of the others.
    return {_of_port(ends[0]) if len(ends) == 1 else asked: ends for asked, ends in by_address.items()}


def _of_address(flows: Flows) -> Flows:
    """Return all flows that have one address of some in the same role."""
    for role in ROLES:
        if (address := getattr(flows, role)) is not None:
            return Flows(**{role: address})
    return Flows()


def _of_port(flows: Flows) -> Flows:
    return dataclasses.replace(_of_address(flows), protocol=flows.protocol, port=flows.port)


def deletion(answer: bytes) -> bytes:
    """Return the request that the kernel forgets the flow of which its answer tells; pure.

    The tuple is sent as it came: whatever the protocol, it is looked up then. Together with a filter, newer kernels
    go through the whole table for each. Source: Linux, ``ctnetlink_del_conntrack``.

    Raises:
        KernelError: It tells of none.
    """
    opened = _told(answer, _TUPLE_ORIG)
    nested = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(opened), _NESTED | _TUPLE_ORIG) + opened
    body = answer[_HEADER.size : _HEADER.size + _FAMILY.size] + nested
    return _HEADER.pack(_HEADER.size + len(body), _SUBSYSTEM << 8 | _DELETE, _REQUEST | _ACKNOWLEDGE, 0, 0) + body


def flow_of(answer: bytes) -> Flow:
    """Return the flow of which an answer of the kernel tells; pure.

    Read by hand: pyroute2 takes 0.2 ms for each, sixteen times as long, and a busy port has thousands.

    Raises:
        KernelError: It tells of none.
    """
    opened, reply = (_attributes(_told(answer, kind)) for kind in (_TUPLE_ORIG, _TUPLE_REPLY))
    protocol = _attributes(opened.get(_TUPLE_PROTOCOL, b""))
    name = _NAMES.get(int.from_bytes(protocol.get(_PROTOCOL_NUMBER, b"")))
    port = None if name is None else (name, int.from_bytes(protocol[_PROTOCOL_TO_PORT]))
    (opener, called), (answerer, answered) = _ends(opened), _ends(reply)
    return Flow(opener, called, port, answerer, answered)


def _ends(parts: dict[int, bytes]) -> tuple[Address, Address]:
    """Return the addresses of a tuple: who sends, and to whom."""
    source, target = (content for _, content in sorted(_attributes(parts[_TUPLE_IP]).items()))
    return ip_address(source), ip_address(target)


def _told(answer: bytes, kind: int) -> bytes:
    attributes = _attributes(answer[_HEADER.size + _FAMILY.size :])
    if kind not in attributes:
        raise KernelError("tracked flows: the kernel tells of one without its addresses")
    return attributes[kind]


def _attributes(content: bytes) -> dict[int, bytes]:
    """Return the attributes of a message, or of one that has others in it."""
    found: dict[int, bytes] = {}
    while len(content) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(content)
        found[kind & _TYPE] = content[_ATTRIBUTE.size : length]
        content = content[max(length + -length % 4, _ATTRIBUTE.size) :]
    return found


def _selection(flows: Flows) -> tuple[Any, Any]:
    """Return the parts of the original and of the reply's tuple that count; None where none does."""
    kind: Any = _nfct().NFCTAttrTuple
    family = _FAMILIES[_version(flows)]
    if flows.answered_by is not None:
        return None, kind(family=family, saddr=str(flows.answered_by))
    if flows.answered_to is not None:
        return None, kind(family=family, daddr=str(flows.answered_to))
    if flows.by is not None:
        return kind(family=family, saddr=str(flows.by)), None
    if flows.to is None:
        return None, None
    if flows.port is None:
        return kind(family=family, daddr=str(flows.to)), None
    return kind(family=family, daddr=str(flows.to), proto=_PROTOCOLS[flows.protocol], dport=flows.port), None


def _question(flows: Flows) -> bytes:
    """Return the request for all flows of a selection."""
    original, reply = _selection(flows)
    parts: dict[str, Any] = {}
    for name, part in (("orig", original), ("reply", reply)):
        if part is not None:
            part.attrs()  # which sets the flags
            parts[f"tuple_{name}"] = part
            parts["cta_filter"] = {"attrs": [[f"CTA_FILTER_{name.upper()}_FLAGS", part.flags]]}
    message = _nfct().nfct_msg.create_from(**parts)
    message["nfgen_family"] = _FAMILIES[_version(flows)]
    message["header"]["type"] = _SUBSYSTEM << 8 | _GET
    message["header"]["flags"] = _REQUEST | _DUMP
    message.encode()
    return bytes(message.data)


def _ask(opened: socket.socket, request: bytes) -> list[bytes]:
    """Send a request and return the messages of the answer.

    Raises:
        KernelError: The kernel refused it; flows that ended by themselves meanwhile are fine.
    """
    opened.send(request)
    found: list[bytes] = []
    while True:
        answer = opened.recv(_BUFFER)
        offset = 0
        while offset < len(answer):
            length, about = struct.unpack_from("=IH", answer, offset)
            if about in (_DONE, _ERROR):
                number = 0 if about == _DONE else -struct.unpack_from("=i", answer, offset + 16)[0]
                if number not in (0, _ABSENT):
                    raise KernelError(f"tracked flows: {os.strerror(number)}")
                return found
            found.append(answer[offset : offset + length])
            offset += length + -length % 4


def _nfct() -> Any:
    return importlib.import_module("pyroute2.netlink.nfnetlink.nfctsocket")


def _version(flows: Flows) -> int:
    address = flows.by or flows.to or flows.answered_by or flows.answered_to
    return address.version if address else 4
