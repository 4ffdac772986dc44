"""Flows that the kernel tracks in the calling thread's network namespace: forgotten by what they are of."""

from __future__ import annotations

import dataclasses
import importlib
import os
import socket
import struct
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from virtualserver.fabric.kernel.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.state import Address, Network
    from virtualserver.fabric.kernel.netfilter import Netfilter

__all__ = ["Flows", "deletion", "forget"]

_PROTOCOLS: Final = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
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
_TUPLE_ORIG: Final = 1
_COUNT: Final = Path("/proc/sys/net/netfilter/nf_conntrack_count")
"""How many flows the calling thread's namespace has; the table is one for the whole machine."""
_BUFFER: Final = 1 << 16


@dataclasses.dataclass(frozen=True, slots=True)
class Flows:
    """Which flows; what is None does not matter.

    Attributes:
        by: Who opened them.
        to: Whom the opener called, before any translation; with a protocol and a port.
        answered_by: Who answers, after translation.
        answered_to: Whom the answers are for, after translation of the opener.
        protocol: ``tcp`` or ``udp``.
        port: That the opener called; None with `to`: any, of any protocol.
        spared: Flows that were opened from these networks do not count.
        kept: Nor do flows that these answer.
    """

    by: Address | None = None
    to: Address | None = None
    answered_by: Address | None = None
    answered_to: Address | None = None
    protocol: str = "tcp"
    port: int | None = None
    spared: tuple[Network, ...] = ()
    kept: tuple[Address, ...] = ()


def forget(netfilter: Netfilter, several: Iterable[Flows]) -> None:
    """Make the kernel forget flows of the calling thread's namespace.

    It finds them by a walk through the table of the whole machine, which takes some milliseconds.

    Args:
        netfilter: The conversation about their namespace.
        several: Which flows.

    Raises:
        KernelError: The kernel refused it.
    """
    if _COUNT.exists() and int(_COUNT.read_text()) == 0:
        return
    for flows in several:
        for answer in _ask(netfilter.socket, _question(flows)):
            found = _nfct().nfct_msg(answer)
            found.decode()
            opened = _tuple(flows, found.get_attr("CTA_TUPLE_ORIG"))
            if any(ip_address(opened.saddr) in network for network in flows.spared):
                continue
            if flows.kept and ip_address(_tuple(flows, found.get_attr("CTA_TUPLE_REPLY")).saddr) in flows.kept:
                continue
            _ask(netfilter.socket, deletion(answer))


def deletion(answer: bytes) -> bytes:
    """Return the request that the kernel forgets the flow of which its answer tells; pure.

    The tuple is sent as it came: whatever the protocol, it is looked up then. Together with a filter, newer kernels
    go through the whole table for each. Source: Linux, ``ctnetlink_del_conntrack``.
    """
    at = _HEADER.size + _FAMILY.size
    while at < len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, at)
        if kind & _TYPE == _TUPLE_ORIG:
            body = answer[_HEADER.size : _HEADER.size + _FAMILY.size] + answer[at : at + length]
            flags = _REQUEST | _ACKNOWLEDGE
            return _HEADER.pack(_HEADER.size + len(body), _SUBSYSTEM << 8 | _DELETE, flags, 0, 0) + body
        at += length + -length % 4
    raise KernelError("tracked flows: the kernel tells of one without its addresses")


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


def _tuple(flows: Flows, found: Any) -> Any:
    return _nfct().NFCTAttrTuple.from_netlink(_FAMILIES[_version(flows)], found)


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
