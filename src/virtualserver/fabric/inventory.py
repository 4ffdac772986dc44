"""What exists on the host because of an installation, item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.fabric.kernel.attachment import INNER

if TYPE_CHECKING:
    from virtualserver.fabric.dhcp.dnsmasq import Dnsmasq
    from virtualserver.fabric.kernel.attachment import Attachment
    from virtualserver.fabric.orphans import Orphan

__all__ = ["item", "of_dnsmasq", "of_host", "of_orphan"]


def item(kind: str, name: str, detail: str = "", *, within: str = "") -> dict[str, str]:
    """Return an item with the keys of `local.inventory.Item`.

    Args:
        kind: Such as ``link``.
        name: What it is called.
        detail: More of it, for people.
        within: The folder, namespace or program in which it is, and goes with; ``""``: none.
    """
    return {"kind": kind, "name": name, "detail": detail, "within": within}


def of_orphan(orphan: Orphan) -> list[dict[str, str]]:
    """Return what an installation of the same name has left, whose state folder was lost."""
    return [item("link", orphan.device, "veth of an installation of this name whose state folder was lost")]


def of_host(attachment: Attachment, uplink: str) -> list[dict[str, str]]:
    """Return what is in the host's own network; reads the kernel.

    Args:
        attachment: What ties the namespace to the host.
        uplink: The link on which addresses are answered for; ``""``: none.
    """
    found: list[dict[str, str]] = []
    if attachment.device_exists():
        found.append(item("link", attachment.device, f"veth, its other end is {INNER} in {attachment.namespace.name}"))
    if attachment.host_table():
        found.append(item("nftables table", f"inet {attachment.table}", "in the host"))
    found += [item("route", str(route.destination), f"dev {attachment.device}") for route in attachment.routes()]
    found += [item("answer", address, f"to ARP on {uplink}") for address in attachment.answers()]
    changed = attachment.changed_settings()
    found += [item("setting", name.replace("/", "."), f"was {was}") for name, was in changed.items()]
    found += [item("file", str(path), why) for path, why in attachment.shared_files()]
    return found


def of_dnsmasq(dnsmasq: Dnsmasq) -> list[dict[str, str]]:
    """Return its process, and the leases that it has given."""
    pid = dnsmasq.find()
    found = [] if pid is None else [item("process", "dnsmasq", f"pid {pid}")]
    return found + [
        item("lease", lease.mac, str(lease.address), within="dnsmasq") for lease in dnsmasq.leases().values()
    ]
