"""The chains by which new connections to one port are spread over several targets, in the language of nft; pure.

Each target has its turn. Where a client stays with one, the kernel's map `affinity` has who that is, and the time for
which it says so begins anew with each connection. It names a target that went until the client comes again: what is no
target is asked for no more, so that nothing has to be forgotten when one goes.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired.entries import ENDS
from virtualserver.fabric.desired.ledger import Entry
from virtualserver.fabric.desired.names import CHAIN_PREFIX, chain_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from virtualserver.fabric.desired.ledger import Entries

__all__ = ["CHAIN", "entry_of", "filled", "removed", "without"]

_CLIENT: Final = "ip daddr . meta l4proto . th dport . ip saddr"
CHAIN: Final = rf"^\tchain (?P<chain>{CHAIN_PREFIX}\S+) \{{\n(?P<body>(?:\t\t.*\n)*)\t\}}\n"
"""What nft prints of such a chain; multi-line."""
_TARGET: Final = re.compile(r" : (\S+ \. \d+)")
_TIMEOUT: Final = re.compile(r" timeout (\w+) : ")
_PART: Final = re.compile(r"(\d+)([dhms])")
_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def filled(table: str, several: Entries) -> Iterator[str]:
    """Yield the commands that make chains so, whether they are there or not.

    Args:
        table: Family and name.
        several: Entries, of which those of other kinds are left out.
    """
    for (kind, key), value in several.items():
        if kind in ENDS.values():
            chain = f"{table} {chain_of(key)}"
            yield f"add chain {chain}"
            yield f"flush chain {chain}"
            for rule in _rules(key, value):
                yield f"add rule {chain} {rule}"


def removed(table: str, several: Entries) -> Iterator[str]:
    """Yield the commands that take chains away, to which nothing leads any more."""
    for kind, key in several:
        if kind in ENDS.values():
            yield f"flush chain {table} {chain_of(key)}"
            yield f"delete chain {table} {chain_of(key)}"


def entry_of(chain: str, body: str) -> tuple[Entry, str]:
    """Return the entry of a chain that nft prints; its value is ``""`` where it was not filled by us.

    nft prints some rules otherwise than they were written, so it is read whom they lead to, and how many there are.
    """
    key = chain.removeprefix(CHAIN_PREFIX).replace("_", " . ")
    rules = [line.strip() for line in body.splitlines()]
    value = _value(rules)
    return Entry(ENDS[4], key), value if value and len(rules) == len(_rules(key, value)) else ""


def without(text: str) -> str:
    """Return what nft prints without these chains."""
    return re.sub(rf"\n?{CHAIN}", "", text, flags=re.MULTILINE)


def _rules(key: str, value: str) -> list[str]:
    """Return the rules of a chain."""
    stays, _, listed = value.rpartition(":")
    targets, protocol = listed.split(","), key.split(" . ")[1]
    if not stays:
        return [f"meta l4proto {protocol} dnat ip to {_turn(targets)}"]
    # A target's mark is its address.
    marks = {f"0x{int(ip_address(target.partition(' . ')[0])):08x}": target for target in targets}
    new = f"ct mark != {{ {', '.join(marks)} }}"
    return [
        f"ct mark set {_CLIENT} map @affinity",
        f"{new} delete @affinity {{ {_CLIENT} : ct mark }} ct mark set {_turn([*marks])}",
        f"update @affinity {{ {_CLIENT} timeout {stays}s : ct mark }}",
        f"meta l4proto {protocol} dnat ip to ct mark map {_map(marks)}",
    ]


def _turn(several: list[str]) -> str:
    return f"numgen inc mod {len(several)} map {_map({str(turn): one for turn, one in enumerate(several)})}"


def _map(values: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{key} : {value}' for key, value in values.items())} }}"


def _value(rules: list[str]) -> str:
    """Return what an entry would say whose chain has these rules, ``""`` where no entry would."""
    targets = _TARGET.findall(rules[-1]) if rules else []
    stays = _TIMEOUT.search(rules[-2]) if len(rules) > 1 else None
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(stays[1])) if stays else 0
    return (f"{seconds}:" if stays else "") + ",".join(targets)
