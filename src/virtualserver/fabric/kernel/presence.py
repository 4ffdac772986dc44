"""Whether single entries are in the namespace now: the kernel is asked for these alone, whatever else is there.

Looked at are elements of sets and maps, and taps. Every function is called inside the namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired import entries
from virtualserver.fabric.kernel import elements
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.ledger import Entries, Entry
    from virtualserver.fabric.kernel.netfilter import Netfilter

__all__ = ["absent"]


_MOST: Final = 4096
"""So many elements are asked for at a time, which takes a few tenths of a second; more are taken for being there."""


def absent(netfilter: Netfilter, several: Iterable[Entries]) -> list[frozenset[Entry]]:
    """Return, of each of several owners' entries, those that are not there, or have another value."""
    left = _MOST
    result: list[frozenset[Entry]] = []
    for wanted in several:
        found: set[Entry] = set()
        for entry, value in wanted.items():
            left -= 1 + value.count(",")
            if entry.kind in elements.SETS and left >= 0:
                there = elements.elements(netfilter.asked(elements.question(entry, value)))
                if there.get(entry) != value:
                    found.add(entry)
        result.append(frozenset(found | _absent_taps(wanted)))
    return result


def _absent_taps(wanted: Entries) -> set[Entry]:
    taps = [entry for entry in wanted if entry.kind == entries.TAP]
    if not taps:
        return set()
    with Rtnetlink() as kernel:
        links = {entry: kernel.link(entry.key) for entry in taps}
    return {entry for entry, link in links.items() if link is None or not link.is_up}
