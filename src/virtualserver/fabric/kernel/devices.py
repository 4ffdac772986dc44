"""The entries of the namespace's kernel: read, and changed by deltas.

A device that stands in no set may send nothing, so the door is closed before a tap is up whatever the order here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from virtualserver.fabric.desired import entries
from virtualserver.fabric.desired.ledger import Delta, Entry
from virtualserver.fabric.desired.state import GATEWAY
from virtualserver.fabric.kernel import ruleset

if TYPE_CHECKING:
    from virtualserver.fabric.kernel.namespace import Namespace

__all__ = ["change_devices", "change_elements", "cut", "read"]

_NOTHING_DELETED: Final = 1
"""conntrack's exit status where no flow matched."""


async def read(namespace: Namespace) -> dict[Entry, str]:
    """Return the elements, taps and routes that are in the namespace."""
    listing = await namespace.run("nft", "-j", "list", "ruleset")
    found = ruleset.elements(msgspec.json.decode(listing))
    for link in await _json(namespace, "-d", "address", "show"):
        info: dict[str, Any] = link.get("linkinfo") or {}
        if info.get("info_kind") != "tun":
            continue
        device = str(link["ifname"])
        data: dict[str, Any] = info.get("info_data") or {}
        found[Entry(entries.TAP, device)] = str(_user(data.get("user", "")))
        addresses = {address.get("local") for address in link.get("addr_info", ())}
        if "UP" in link.get("flags", ()) and str(GATEWAY) in addresses:
            found[Entry(entries.TAP_UP, device)] = ""
    for route in await _json(namespace, "-4", "route", "show", "table", "all"):
        if route.get("protocol") != "static" or "/" in route["dst"] or route["dst"] == "default":
            continue
        local = route.get("type") == "local"
        found[Entry(entries.ROUTE, route["dst"])] = entries.LOCAL if local else str(route.get("dev"))
    return found


async def change_elements(namespace: Namespace, delta: Delta) -> None:
    """Change the elements of a delta in one transaction: all or none."""
    text = ruleset.transaction(delta)
    if text:
        await namespace.run("nft", "-f", "-", stdin=text)


async def change_devices(namespace: Namespace, delta: Delta, mtu: int) -> None:
    """Remove and make the taps and routes of a delta."""
    lines: list[str] = []
    for (kind, key), value in delta.removed.items():
        if kind == entries.ROUTE:
            lines.append(f"route del {_route(key, value)}")
        elif kind == entries.TAP:
            lines.append(f"link del {key}")
    for (kind, key), value in delta.added.items():
        if kind == entries.TAP:
            lines.append(f"tuntap add dev {key} mode tap user {value} vnet_hdr")
    for kind, key in delta.added:
        if kind == entries.TAP_UP:
            lines.append(f"link set dev {key} mtu {mtu}")
            lines.append(f"address replace {GATEWAY}/32 dev {key}")
            lines.append(f"link set dev {key} up")
    for (kind, key), value in delta.added.items():
        if kind == entries.ROUTE:
            lines.append(f"route replace {_route(key, value)}")
    # Deleting a tap takes its routes along, so routes go first; a route whose tap is gone already is in no delta.
    lines.sort(key=lambda line: not line.startswith("route del"))
    if lines:
        await namespace.run("ip", "-batch", "-", stdin="".join(f"{line}\n" for line in lines))


async def cut(namespace: Namespace, delta: Delta) -> None:
    """Forget the flows of published ports and guests' addresses that a delta takes away or points elsewhere."""
    for entry, value in delta.removed.items():
        if entry.kind == entries.PUBLISHED:
            address, protocol, port = entry.key.split(" . ")
            await _delete(namespace, "-p", protocol, "--orig-dst", address, "--orig-port-dst", port)
        elif entry.kind == entries.ROUTE and value != entries.LOCAL and entry not in delta.added:
            await _delete(namespace, "--orig-src", entry.key)
            await _delete(namespace, "--reply-src", entry.key)


async def _delete(namespace: Namespace, *selection: str) -> None:
    await namespace.run("conntrack", "-D", *selection, accept=(0, _NOTHING_DELETED))


def _route(address: str, target: str) -> str:
    if target == entries.LOCAL:
        return f"local {address}/32 dev lo proto static"
    return f"{address}/32 dev {target} proto static"


def _user(shown: Any) -> Any:
    """Return a tap's owner as a number; ``ip`` shows a name where the system knows one."""
    import pwd

    if isinstance(shown, str) and shown and not shown.isdecimal():
        return pwd.getpwnam(shown).pw_uid
    return shown


async def _json(namespace: Namespace, *arguments: str) -> list[dict[str, Any]]:
    text = await namespace.run("ip", "-json", *arguments)
    return msgspec.json.decode(text or "[]", type=list[dict[str, Any]])
