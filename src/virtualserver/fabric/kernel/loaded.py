"""Rules that stand as they were loaded: what nft printed then is remembered beside their text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.host.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from virtualserver.fabric.kernel.netfilter import Netfilter

__all__ = ["LoadedRules"]


class LoadedRules:
    """The rules of some tables."""

    def __init__(
        self,
        folder: Path,
        name: str,
        tables: Iterable[tuple[str, str]],
        *,
        again: Callable[[str], list[str]] | None = None,
    ) -> None:
        """Name them.

        Args:
            folder: Where what was loaded is remembered.
            name: Where the tables are, in words.
            tables: By family and name.
            again: Returns, of what nft prints, the commands that put back in the same transaction what is not of these
                rules and goes with them while they are loaded anew; None: nothing is.
        """
        self._again = again
        self._file = folder / f"rules-{name}.json"
        self._name = name
        self._tables = [" ".join(table) for table in tables]

    def ensure(self, netfilter: Netfilter, text: str, listed: Callable[[], str]) -> list[str]:
        """Load the rules unless they stand as they were loaded, and return what was not so, in words.

        Args:
            netfilter: Of where the tables are.
            text: The commands that make the rules so.
            listed: Returns the tables as nft prints them now.

        Raises:
            KernelError: The kernel refused them.
        """
        file = self._file
        before = _remembered(file)
        generation, listing = netfilter.generation(), listed()
        if before == {"text": text, "listing": listing}:
            netfilter.stand(generation)
            return []
        file.unlink(missing_ok=True)  # until what stands is known to be what was loaded
        try:
            netfilter.load([text, *(self._again(netfilter.tables()) if self._again else ())])
        except KernelError:
            # What stands may be such that nothing can be added to it: a chain of another hook, a set of another type.
            netfilter.load([*(f"add table {table}\ndelete table {table}" for table in self._tables), text])
        loaded, now = netfilter.generation(), listed()
        # Else somebody was in between, and what nft printed may be theirs: the next look loads again.
        if loaded - generation <= 1 and netfilter.generation() == loaded:
            write_atomically(file, msgspec.json.encode({"text": text, "listing": now}), mode=0o644)
            netfilter.stand(loaded)
        # Nobody touched them: they are to be others now, since the machine has another address or uplink.
        return [] if before.get("listing") == listing else [f"nftables rules of the {self._name}"]

    def forget(self) -> None:
        """Remember nothing; the tables are gone."""
        self._file.unlink(missing_ok=True)


def _remembered(file: Path) -> dict[str, str]:
    """Return what was loaded last and what nft printed then; nothing where the file is missing or damaged."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}
