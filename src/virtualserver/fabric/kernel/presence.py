"""Whether single entries are in the namespace now: the kernel is asked for these alone, whatever else is there.

Looked at are elements of sets and maps, and taps. Every function is called inside the namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.fabric.desired import entries
from virtualserver.fabric.kernel import elements
from virtualserver.fabric.kernel.rtnetlink import Rtnetlink

if TYPE_CHECKING:
    from virtualserver.fabric.desired.ledger import Entries, Entry
    from virtualserver.fabric.kernel.netfilter import Netfilter

__all__ = ["absent"]


def absent(netfilter: Netfilter, wanted: Entries) -> frozenset[Entry]:
    """Return those of some entries that are not there, or have another value."""
    found: set[Entry] = set()
    for entry, value in wanted.items():
        if entry.kind in elements.SETS:
            there = elements.elements(netfilter.asked(elements.question(entry, value)))
            if there.get(entry) != value:
                found.add(entry)
    return frozenset(found | _absent_taps(wanted))


def _absent_taps(wanted: Entries) -> set[Entry]:
    taps = [entry for entry in wanted if entry.kind == entries.TAP]
    if not taps:
        return set()
    with Rtnetlink() as kernel:
        links = {entry: kernel.link(entry.key) for entry in taps}
    return {entry for entry, link in links.items() if link is None or not link.is_up}
