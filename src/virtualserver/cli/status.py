"""``vs status``: what `local.status` and `local.inventory` find; docs/cli.md promises the JSON."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from virtualserver.cli import output
from virtualserver.local import caller, inventory, status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from virtualserver.controlplane import ComponentStatus
    from virtualserver.fabric.repairs import RecordedRepair
    from virtualserver.installation.installation import Installation
    from virtualserver.local.status import DisksFound, InstallationStatus, PoolUse

__all__ = ["command", "disks_in_words", "encode", "folded", "incidents", "say_servers"]

_INCIDENTS = 3
"""So many of the last moments at which something was put back are shown; `-o json` has all that are known."""

_SERVERS = 50
"""So many servers, and addresses of users' own Services, are shown; `-o json` has all."""

_INVENTORY_HELP = "List everything on this host that is there because of the instance."


def encode(found: InstallationStatus) -> dict[str, Any]:
    """Return what ``vs status -o json`` prints."""
    now = found.control_plane
    return {
        "instance": found.installation.name,
        "state": str(found.installation.state),
        "running": now.running,
        "ready": now.ready,
        "waitingFor": now.waiting_for,
        "url": now.url,
        "listen": None if found.listen is None else dataclasses.asdict(found.listen),
        "kubeconfig": str(now.kubeconfig),
        "supervisor": now.supervisor_pid,
        "components": [_component(part) for part in now.components],
        "pools": [_pool(pool) for pool in found.pools],
        "servers": [dataclasses.asdict(server) for server in found.servers],
        "addresses": [dataclasses.asdict(holder) for holder in found.holders],
        "disks": None if found.disks is None else dataclasses.asdict(found.disks),
        "accelerator": dataclasses.asdict(found.accelerator),
        "blockers": [dataclasses.asdict(blocker) for blocker in found.blockers],
        "site": {
            "file": str(found.installation.site_file),
            "faults": [{"path": fault.path, "message": fault.message} for fault in found.site_faults],
            "trouble": found.control_plane.site_trouble,
        },
        "database": now.database,
        "repairs": [{"time": one.time, "what": one.what, "where": one.where} for one in found.repairs],
    }


def _component(part: ComponentStatus) -> dict[str, Any]:
    return {
        "name": part.name,
        "pid": part.pid,
        "version": part.version,
        "ready": part.ready,
        "restarts": part.restarts,
        "lastError": part.last_error,
        "trouble": part.trouble,
        "log": str(part.log),
    }


def _pool(pool: PoolUse) -> dict[str, Any]:
    networks = [str(network) for network in pool.networks]
    return {"name": pool.name, "networks": networks, "size": pool.size, "inUse": pool.in_use}


def _print(found: InstallationStatus) -> None:
    now = found.control_plane
    output.say(f"instance      {found.installation.name}: {found.summary}")
    output.say(f"kubeconfig    {now.kubeconfig}")
    if now.url:
        output.say(f"API server    {now.url}")
    if found.listen:
        output.say(f"listens on    {found.listen.url}" + (f": {found.listen.fault}" if found.listen.fault else ""))
    output.say(f"accelerator   {found.accelerator.name}: {found.accelerator.reason}")
    output.say(f"logs          {found.installation.logs}, a file for each component; a server's: vs logs NAME")
    if found.disks:
        output.say(f"disks         {disks_in_words(found.disks)}")
    if now.database:
        output.say(f"database      {now.database}")
    for blocker in found.blockers:
        output.say(f"firewall      {blocker.where}: {blocker.reason}\n              {blocker.remedy}")
    if found.site_faults:
        output.say(f"site          {found.installation.site_file} is refused, what held before it goes on holding:")
    for fault in found.site_faults:
        output.say(f"              {fault}")
    if now.site_trouble:
        output.say(f"site          not carried out, and tried again: {now.site_trouble}")
    for line in incidents(found.repairs)[-_INCIDENTS:]:
        output.say(f"put back      {line}")
    output.say()
    parts = [
        (p.name, str(p.pid or "-"), p.version, "yes" if p.ready else "no", str(p.restarts), p.trouble or p.last_error)
        for p in now.components
    ]
    output.table(("COMPONENT", "PID", "VERSION", "READY", "RESTARTS", "LAST ERROR"), parts)
    output.say()
    pools = [
        (p.name, ",".join(map(str, p.networks)) or "this machine's own address", str(p.size), str(p.in_use))
        for p in found.pools
    ]
    output.table(("POOL", "NETWORKS", "SIZE", "IN USE"), pools)
    say_servers(found)


def disks_in_words(disks: DisksFound) -> str:
    """Return how far disks are promised, as a part of a sentence; pure."""
    promised, bound, free, total = (
        f"{size / 2**30:.1f} GiB" for size in (disks.promised, disks.bound, disks.free, disks.total)
    )
    return f"may grow to {promised} of {bound} (disks.overcommit in site.yaml); {free} of {total} are free now"


def say_servers(found: InstallationStatus) -> None:
    """Print how servers are, and whose the other addresses are."""
    servers = [
        (f"{one.namespace}/{one.name}", one.reason or "-", one.external or "-", one.internal or "-")
        for one in found.servers[:_SERVERS]
    ]
    others = [(one.service, one.address) for one in found.holders if not one.server][:_SERVERS]
    for headings, rows in ((("SERVER", "STATUS", "ADDRESS", "OWN ADDRESS"), servers), (("SERVICE", "ADDRESS"), others)):
        if rows:
            output.say()
            output.table(headings, rows)
    if len(found.servers) > _SERVERS:
        output.say(f"and {len(found.servers) - _SERVERS} more: kubectl get vs -A")


def incidents(repairs: Iterable[RecordedRepair]) -> list[str]:
    """Return a line for each moment at which something was put back: what came first, and how much with it; pure."""
    lines: list[str] = []
    for (time, where), together in itertools.groupby(repairs, key=lambda repair: (repair.time, repair.where)):
        first, *others = (repair.what for repair in together)
        more = f", and {len(others)} more" if others else ""
        lines.append(f"{time}  {where}: {first}{more}: missing or changed by somebody else")
    return lines


def _inventory(installation: Installation, form: str) -> None:
    caller.require_root("vs status --inventory")
    items = inventory.of(installation)
    if not items:
        status.require(installation)
    if form == "json":
        output.as_json([dataclasses.asdict(item) for item in items])
    else:
        output.table(("KIND", "NAME", "DETAIL"), folded(items))
        output.say("\neach of them: vs status --inventory -o json")


def folded(items: Sequence[inventory.Item]) -> list[tuple[str, str, str]]:
    """Return a row for each item that is in no other, with how many are in it; pure."""
    counts = Counter(item.within for item in items)
    found = {item.name for item in items}
    return [
        (item.kind, item.name, "; ".join(filter(None, [item.detail, f"{inside} in it" if inside else ""])))
        for item in items
        for inside in [counts[item.name]]
        if item.within not in found
    ]


@click.command("status")
@click.option(
    "--inventory",
    "listed",
    is_flag=True,
    help="List everything on this host that is there because of the instance.",
)
@output.option
@click.pass_obj
def command(installation: Installation, form: str, listed: bool) -> None:
    """Show what runs, where it is reached, and how many addresses are in use."""
    if listed:
        _inventory(installation, form)
        return
    status.require(installation)
    found = status.of(installation)
    if form == "json":
        output.as_json(encode(found))
    else:
        _print(found)
