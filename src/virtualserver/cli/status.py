"""``vs status``: what runs, where it is reached, and what of the host it uses."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import click

from virtualserver import controlplane
from virtualserver.cli import caller, failures, host, output
from virtualserver.cli.kubectl import Kubectl
from virtualserver.installation import ranges
from virtualserver.node.allocation import pools

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.installation.installation import Installation

__all__ = ["accelerator_of", "command", "of", "pools_of"]


def of(installation: Installation) -> dict[str, Any]:
    """Return what ``vs status -o json`` prints; docs/cli.md has its meaning."""
    found = controlplane.status(installation)
    readable = os.access(installation.kubeconfig, os.R_OK)
    services = Kubectl(installation).list("services") if found.ready and readable else []
    return {
        "instance": installation.name,
        "state": str(installation.state),
        "running": found.running,
        "ready": found.ready,
        "waitingFor": found.waiting_for,
        "url": found.url,
        "kubeconfig": str(found.kubeconfig),
        "supervisor": found.supervisor_pid,
        "components": [_component(part) for part in found.components],
        "pools": pools_of(installation, services),
        "accelerator": accelerator_of(installation),
        "blockers": [dataclasses.asdict(b) for b in host.blockers(installation)] if os.getuid() == 0 else [],
    }


def pools_of(installation: Installation, services: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the load balancer pools with their sizes and how many of their addresses Services hold."""
    recorded = installation.record().ranges
    if recorded is None:
        return []
    used = {
        entry["ip"]
        for service in services
        for entry in service.get("status", {}).get("loadBalancer", {}).get("ingress", ())
        if "ip" in entry
    }
    return [
        {
            "name": pool.name,
            "networks": [str(network) for network in pool.networks],
            "size": sum(pool.size(family) for family in pool.families),
            "inUse": pool.used(used),
        }
        for pool in pools.pools_of(ranges.decode(recorded)).values()
    ]


def accelerator_of(installation: Installation) -> dict[str, str]:
    """Return what the node found out about KVM at its last start."""
    try:
        found = json.loads(installation.accelerator.read_bytes())
    except (OSError, ValueError):
        return {"name": "unknown", "reason": "the node has not tried yet"}
    return {"name": found["name"], "reason": found["reason"]}


def _component(part: controlplane.ComponentStatus) -> dict[str, Any]:
    return {
        "name": part.name,
        "pid": part.pid,
        "version": part.version,
        "ready": part.ready,
        "restarts": part.restarts,
        "lastError": part.last_error,
        "log": str(part.log),
    }


def _state(found: dict[str, Any]) -> str:
    """Say in a few words whether the installation runs."""
    if found["running"]:
        return "ready" if found["ready"] else f"waiting for {found['waitingFor']}"
    if any(component["pid"] for component in found["components"]):
        return "its supervisor has ended; what runs goes on, and `vs up` takes it over"
    return "stopped"


def _print(found: dict[str, Any]) -> None:
    click.echo(f"instance      {found['instance']}: {_state(found)}")
    click.echo(f"kubeconfig    {found['kubeconfig']}")
    if found["url"]:
        click.echo(f"API server    {found['url']}")
    click.echo(f"accelerator   {found['accelerator']['name']}: {found['accelerator']['reason']}")
    for blocker in found["blockers"]:
        click.echo(f"firewall      {blocker['where']}: {blocker['reason']}\n              {blocker['remedy']}")
    click.echo()
    rows = [
        (
            c["name"],
            str(c["pid"] or "-"),
            c["version"],
            "yes" if c["ready"] else "no",
            str(c["restarts"]),
            c["lastError"],
        )
        for c in found["components"]
    ]
    output.table(("COMPONENT", "PID", "VERSION", "READY", "RESTARTS", "LAST ERROR"), rows)
    click.echo()
    output.table(
        ("POOL", "NETWORKS", "SIZE", "IN USE"),
        [(p["name"], ",".join(p["networks"]), str(p["size"]), str(p["inUse"])) for p in found["pools"]],
    )


@click.command("status")
@click.option("--inventory", is_flag=True, help="List everything on this host that is there because of the instance.")
@output.option
@click.pass_obj
def command(installation: Installation, form: str, inventory: bool) -> None:
    """Show what runs, where it is reached, and how many addresses are in use."""
    if not installation.state.exists():
        raise failures.NotFound(
            f"there is no instance {installation.name!r} in {installation.root}.", remedy="Start it with `vs up`."
        )
    if inventory:
        caller.require_root("vs status --inventory")
        items = host.inventory(installation)
        if form == "json":
            output.as_json(items)
        else:
            output.table(("KIND", "NAME", "DETAIL"), [(i["kind"], i["name"], i["detail"]) for i in items])
        return
    found = of(installation)
    if form == "json":
        output.as_json(found)
    else:
        _print(found)
