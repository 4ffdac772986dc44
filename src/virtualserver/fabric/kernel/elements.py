"""From entries to elements of the namespace's sets and maps and back, in the language of nft; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.ledger import Delta, Entries, Entry
from virtualserver.fabric.kernel.ruleset import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["SETS", "Set", "elements", "transaction"]


class Set(NamedTuple):
    """Where the elements of a kind of entries are.

    Attributes:
        family: Of the table.
        devices: How many of an element's first fields are interface names, to be quoted.
    """

    family: str
    devices: int


SETS: Final[Mapping[str, Set]] = {
    entries.GUARD_MAC: Set("inet", 1),
    entries.GUARD_DHCP: Set("inet", 1),
    entries.GUARD_ARP: Set("arp", 1),
    entries.SELF_PAIR: Set("inet", 2),
    **dict.fromkeys(entries.GUARD_IP.values(), Set("inet", 1)),
    **dict.fromkeys(entries.DIRECT.values(), Set("inet", 0)),
    **dict.fromkeys(entries.ANNOUNCED.values(), Set("inet", 0)),
    **dict.fromkeys(entries.PUBLISHED.values(), Set("inet", 0)),
}
"""Each set and map by its name, which is that of the kind of entries."""


def transaction(delta: Delta) -> list[str]:
    """Return the commands that change the elements of a delta, taking away before they add; none where it has none."""
    return [*_commands("delete", delta.removed), *_commands("add", delta.added)]


def elements(listing: Mapping[str, Any]) -> dict[Entry, str]:
    """Return the elements that nft's JSON shows in our sets and maps, as entries."""
    found: dict[Entry, str] = {}
    for item in listing["nftables"]:
        body: dict[str, Any] = item.get("set") or item.get("map") or {}
        kind = str(body.get("name", ""))
        if kind not in SETS or (body["family"], body["table"]) != (SETS[kind].family, TABLE):
            continue
        for element in body.get("elem", ()):
            key, value = element if "map" in item else (element, None)
            found[Entry(kind, _canonical(kind, key))] = "" if value is None else _canonical(kind, value)
    return found


def _commands(verb: str, changed: Entries) -> Iterator[str]:
    elements_of: dict[str, list[str]] = {}
    for (kind, key), value in changed.items():
        if kind in SETS:
            quoted = _quoted(key, SETS[kind].devices)
            elements_of.setdefault(kind, []).append(f"{quoted} : {value}" if value else quoted)
    for kind, some in elements_of.items():
        yield f"{verb} element {SETS[kind].family} {TABLE} {kind} {{ {', '.join(some)} }}"


def _quoted(key: str, devices: int) -> str:
    fields = key.split(" . ")
    return " . ".join(f'"{field}"' if index < devices else field for index, field in enumerate(fields))


def _canonical(kind: str, value: Any) -> str:
    fields: list[Any] = cast("dict[str, list[Any]]", value)["concat"] if isinstance(value, dict) else [value]
    words = [str(field) for field in fields]
    if kind == entries.GUARD_DHCP and isinstance(fields[1], int):
        words[1] = f"0x{fields[1]:012x}"
    return " . ".join(words)
