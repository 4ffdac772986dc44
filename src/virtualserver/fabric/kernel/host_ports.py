"""Which ports of the machine's own address lead to the namespace, remembered over a restart of the node."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from virtualserver.host.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["HostPorts"]


class HostPorts:
    """The ports, each with its protocol in lower case.

    Attributes:
        known: Those that lead to the namespace.
    """

    def __init__(self, file: Path) -> None:
        """Read them; there are none where the file is missing or damaged."""
        self._file = file
        self.known: frozenset[tuple[str, int]] = frozenset()
        with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
            self.known = frozenset(msgspec.json.decode(file.read_bytes(), type=list[tuple[str, int]]))

    def change(self, ports: Collection[tuple[str, int]]) -> bool:
        """Remember other ports, and return whether they are others."""
        if self.known == frozenset(ports):
            return False
        self.known = frozenset(ports)
        write_atomically(self._file, msgspec.json.encode(sorted(self.known)), mode=0o644)
        return True

    def forget(self) -> None:
        """Let none lead there, and remember nothing."""
        self.known = frozenset()
        self._file.unlink(missing_ok=True)
