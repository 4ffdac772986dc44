"""Flows that are to end, written down before the change after which nothing else tells of them."""

from __future__ import annotations

import contextlib
import logging
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

import msgspec

from virtualserver.fabric.kernel.conntrack import ROLES, Flows
from virtualserver.host.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["PendingCuts"]

_VERSION: Final = 1

_logger = logging.getLogger(__name__)


class _Record(msgspec.Struct):
    flows: list[dict[str, Any]]
    version: int


class PendingCuts:
    """What is still to be cut, remembered over a restart of the node; a restart of the machine ends all flows.

    Attributes:
        flows: Which flows.
    """

    def __init__(self, file: Path) -> None:
        """Read them.

        Where the file cannot be read all flows are to end: one that nobody may have any more would live on otherwise.
        """
        self._file = file
        self.flows: tuple[Flows, ...] = ()
        with contextlib.suppress(FileNotFoundError):
            try:
                self.flows = _read(file.read_bytes())
            except (ValueError, LookupError, TypeError) as error:
                _logger.error("%s: %s: all flows end, since some of them were to", file, error)
                self.flows = (Flows(),)

    def keep(self, flows: Sequence[Flows]) -> None:
        """Remember others, on the disk before this returns.

        Where the disk takes nothing they are remembered by this process alone: to take a right away must not wait for
        room.
        """
        if not flows and self.flows:
            self.forget()
        elif tuple(flows) != self.flows:
            self.flows = tuple(flows)
            content = {"version": _VERSION, "flows": self.flows}
            try:
                write_atomically(self._file, msgspec.json.encode(content, enc_hook=str))
            except OSError as error:
                _logger.error("%s: %s: flows that are to end would go on if this process died now", self._file, error)

    def forget(self) -> None:
        """Have nothing to cut, and remember nothing."""
        self.flows = ()
        self._file.unlink(missing_ok=True)


def _read(content: bytes) -> tuple[Flows, ...]:
    record = msgspec.json.decode(content, type=_Record)
    if record.version != _VERSION:
        raise ValueError(f"version: {record.version}: this program reads {_VERSION}")
    return tuple(map(_flows, record.flows))


def _flows(written: dict[str, Any]) -> Flows:
    return Flows(
        **{name: ip_address(written[name]) for name in ROLES if written[name] is not None},
        protocol=written["protocol"],
        port=written["port"],
        spared=tuple(map(ip_network, written["spared"])),
        kept=tuple(map(ip_address, written["kept"])),
        apart_from=tuple((protocol, port) for protocol, port in written["apart_from"]),
    )
