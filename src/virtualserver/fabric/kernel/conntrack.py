"""Flows that the kernel tracks in the calling thread's network namespace: forgotten by what they are of."""

from __future__ import annotations

import dataclasses
import socket
from typing import TYPE_CHECKING, Any, Final

from virtualserver.fabric.kernel.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.state import Address

__all__ = ["Flows", "forget"]

_PROTOCOLS: Final = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_ABSENT: Final = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Flows:
    """Which flows; what is None does not matter.

    Attributes:
        by: Who opened them.
        to: Whom the opener called, before any translation; with a protocol and a port.
        answered_by: Who answers, after translation.
        protocol: ``tcp`` or ``udp``.
        port: That the opener called.
    """

    by: Address | None = None
    to: Address | None = None
    answered_by: Address | None = None
    protocol: str = "tcp"
    port: int | None = None


def forget(several: Iterable[Flows]) -> None:
    """Make the kernel forget flows; it sorts them out itself, so that others cost nothing here.

    Raises:
        KernelError: The kernel refused it.
    """
    todo = list(several)
    if not todo:
        return
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTSocket

    for version in {_version(flows) for flows in todo}:
        conversation: Any = NFCTSocket(nfgen_family=_FAMILIES[version])
        try:
            for flows in todo:
                if _version(flows) == version:
                    _forget(conversation, flows)
        except NetlinkError as error:
            raise KernelError(f"tracked flows: {error.args[-1]}") from error
        finally:
            conversation.close()


def _forget(conversation: Any, flows: Flows) -> None:
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

    selection: dict[str, Any] = {}
    if flows.answered_by is not None:
        selection["tuple_reply"] = NFCTAttrTuple(saddr=str(flows.answered_by))
    elif flows.by is not None:
        selection["tuple_orig"] = NFCTAttrTuple(saddr=str(flows.by))
    else:
        selection["tuple_orig"] = NFCTAttrTuple(daddr=str(flows.to), proto=_PROTOCOLS[flows.protocol], dport=flows.port)
    family = _FAMILIES[_version(flows)]
    flow: Any = NFCTAttrTuple
    for message in list(conversation.dump(**selection)):
        original = flow.from_netlink(family, message.get_attr("CTA_TUPLE_ORIG"))
        try:
            conversation.entry("del", tuple_orig=original)
        except NetlinkError as error:
            if error.code != _ABSENT:  # it may have ended by itself meanwhile
                raise


def _version(flows: Flows) -> int:
    address = flows.by or flows.to or flows.answered_by
    return address.version if address else 4
