"""What was put back because somebody else had changed it, and what became otherwise with the host; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from virtualserver.fabric.desired import entries

if TYPE_CHECKING:
    from virtualserver.fabric.desired.ledger import Delta, Entry

__all__ = ["Adjustment", "Repair", "repairs_of"]

_NAMED: Final = 3
"""So many things of a kind are named; more are counted."""
_KINDS: Final = {
    entries.TAP: "tap",
    entries.TAP_UP: "tap",
    entries.PORT: "tap",
    entries.BRIDGE: "bridge",
    entries.ROUTE: "route to",
    **dict.fromkeys((*entries.PUBLISHED.values(), *entries.PUBLISHED_TO.values()), "published port"),
    **dict.fromkeys((*entries.SPREAD.values(), *entries.SPREAD_TO.values(), *entries.ENDS.values()), "published port"),
    **dict.fromkeys((*entries.WITHHELD.values(), *entries.WITHHELD_TO.values()), "withheld port"),
    **dict.fromkeys(entries.ANNOUNCED.values(), "announced address"),
    **dict.fromkeys(
        (
            *entries.FLOATING.values(),
            *entries.FLOATING_TO.values(),
            *entries.FLOATING_SOURCE.values(),
            *entries.DECIDED.values(),
        ),
        "floating address",
    ),
    **dict.fromkeys(
        (*entries.DIRECT.values(), *entries.RESTRICTED.values(), *entries.ADMITTED.values()), "attached address"
    ),
    **dict.fromkeys(
        (
            entries.GUARD_MAC,
            entries.GUARD_ARP,
            entries.GUARD_DHCP,
            entries.GUARD_FRAME,
            entries.GUARD_OWN,
            *entries.GUARD_IP.values(),
            entries.SELF_PAIR,
            entries.GROUP,
            entries.TENANT,
            *entries.MEMBER.values(),
        ),
        "guard of",
    ),
    entries.DHCP_HOST: "file of DHCP",
    entries.DHCP_OPTIONS: "file of DHCP",
    entries.NAMES: "file of names",
}


class Repair(NamedTuple):
    """One thing of ours that was missing or different, and was made as it should be.

    Attributes:
        what: In words, as ``route to 203.0.113.0/24``.
        where: ``host``, or ``namespace NAME``.
    """

    what: str
    where: str


class Adjustment(NamedTuple):
    """One thing that is otherwise now because the host itself is: its uplinks, their MTU, its resolvers.

    Attributes:
        what: In words: what it is, what it was, and what guests that run have of it.
    """

    what: str


def repairs_of(delta: Delta, where: str) -> list[Repair]:
    """Return what a delta put right, in words: several entries of one thing are one, and many things are counted."""
    things: dict[str, dict[str, None]] = {}
    for entry in (*delta.removed, *delta.added):
        kind = _KINDS[entry.kind]
        things.setdefault(kind, {})[_name(entry)] = None
    found: list[Repair] = []
    for kind, names in things.items():
        if len(names) > _NAMED:
            found.append(Repair(f"{kind} {next(iter(names))} and {len(names) - 1} more", where))
        else:
            found += [Repair(f"{kind} {name}", where) for name in names]
    return found


def _name(entry: Entry) -> str:
    if _KINDS[entry.kind] == "guard of":
        return entry.key.partition(" . ")[0]
    return entry.key.replace(" . ", " ")
