"""``vs up``: the options of a start, and what it came to for people and for scripts."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from virtualserver.cli import networks, output, progress, ui
from virtualserver.cli.failures import CommandFailure
from virtualserver.local import boot, caller, up
from virtualserver.local.errors import LocalError
from virtualserver.local.takeover import take_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtualserver.installation.installation import Installation
    from virtualserver.local import pools
    from virtualserver.local.hello import Reachable

__all__ = ["command", "encode", "text"]


def encode(summary: up.Summary) -> dict[str, Any]:
    """Return what ``vs up -o json`` prints; docs/cli.md promises it."""
    found = summary.status
    return {
        "instance": found.installation.name,
        "kubeconfig": str(found.control_plane.kubeconfig),
        "path": str(found.installation.commands),
        "listen": None if found.listen is None else dataclasses.asdict(found.listen),
        "servers": [] if summary.server is None else [_server(summary.server, summary.login)],
        "accelerator": dataclasses.asdict(found.accelerator),
        "blockers": [dataclasses.asdict(blocker) for blocker in found.blockers],
        "staying": [_staying(one) for one in summary.staying],
        "stop": "vs down",
    }


def _staying(one: pools.Staying) -> dict[str, str]:
    return {"address": str(one.address), "pool": one.pool, "holder": one.holder, "command": one.command}


def _server(server: Reachable, login: str) -> dict[str, Any]:
    return {
        "name": server.name,
        "address": server.address,
        "state": server.state,
        "answers": server.answers,
        "ssh": login,
        "url": server.url,
    }


def text(summary: up.Summary, *, link: str = "") -> str:
    """Return what a start came to for people.

    Args:
        summary: What it came to.
        link: Signs in to the console; ``""``: there is none.
    """
    return "\n".join([*_server_lines(summary), *_console_lines(link), *_lines(summary)])


def _server_lines(summary: up.Summary) -> Iterator[str]:
    server = summary.server
    if server is None:
        return
    yield ""
    if server.answers and not server.asked:
        yield f"Server {server.name} runs, and publishes neither ssh nor a page: vs show {server.name}"
    elif server.answers:
        yield f"Server {server.name} answers (its address is reachable from {summary.reach}):"
        yield f"  address   {server.address}"
        if 22 in server.asked:
            yield f"  log in    {summary.login}"
        if server.url:
            yield f"  page      {server.url}"
    else:
        yield f"Server {server.name} is not running: {server.state}"


def _console_lines(link: str) -> Iterator[str]:
    if link:
        yield ""
        yield "See and edit servers in a browser here (the link works once, for ten minutes; another one: vs ui):"
        yield f"  {link}"


def _lines(summary: up.Summary) -> Iterator[str]:
    found = summary.status
    yield ""
    yield "Use it as any cluster (kubectl get vs, kubectl explain vs.spec.network):"
    yield f"  export KUBECONFIG={found.control_plane.kubeconfig} PATH=$PATH:{found.installation.commands}"
    if found.listen:
        yield ""
        yield f"Other machines reach the API server at {found.listen.url}; `vs user add` makes kubeconfigs for them."
        if found.listen.fault:
            yield f"  not now: {found.listen.fault}; `vs up --listen ADDRESS` takes another one, `none` gives it up."
    yield ""
    stop = "make down" if os.environ.get("VS_FROM_MAKE") else "vs down"
    yield f"Stop it with `{stop}`; disks and objects stay. {_after_reboot(found.installation)}"
    if found.accelerator.name == "tcg":
        yield f"Without KVM ({found.accelerator.reason}) guests run about 20 times slower."
    for one in summary.staying:
        yield f"{one.address} of {one.holder} is of a former network of pool {one.pool}, and stays; to move it:"
        yield f"  {one.command}"
    for blocker in found.blockers:
        yield f"A firewall of this machine is in the way: {blocker.where}: {blocker.reason}"
        yield f"  {blocker.remedy}"


def _after_reboot(installation: Installation) -> str:
    if boot.files(installation):
        return "After a reboot it starts by itself (`vs disable` ends that)."
    return "After a reboot, start it again the same way as now, or have that done: `vs enable`."


def _link(installation: Installation) -> str:
    """Return a link to the console; without one a start has come to what it has come to."""
    with contextlib.suppress(CommandFailure):
        return ui.link(installation, installation.kubeconfig, "default") or ""
    return ""


def _announce(start: up.Start, report: progress.StepPrinter) -> None:
    """Say first what will be built and downloaded; nothing where everything is there."""
    lines = up.plan_of(start)
    if lines:
        installation = start.installation
        report.say(f"First start of instance {installation.name!r} in {installation.state}; nothing is asked:")
    for line in lines:
        report.say(f"  - {line}")


@click.command("up")
@click.option(
    "--public-pool",
    "public",
    type=networks.POOL,
    multiple=True,
    metavar="NETWORK|host",
    help="Network of the public pool; or host: ports are published on this machine's own address.",
)
@click.option("--private-pool", "private", type=networks.NETWORK, multiple=True, help="Network of the private pool.")
@click.option(
    "--uplink",
    metavar="IF|none",
    help="Link of this machine on which addresses of the named public pool are answered for; stays until `none`.",
)
@click.option(
    "--controlplane",
    "programs_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with kube-apiserver, etcd, kube-controller-manager and kubectl; nothing is built then.",
)
@click.option("--official", is_flag=True, help="Download Kubernetes' official release instead of building it.")
@click.option(
    "--listen",
    type=networks.LISTEN,
    metavar="ADDRESS|none",
    help="Open the API server to other machines, on this address of this machine alone; stays until `none`.",
)
@click.option("--hello/--no-hello", "with_hello", default=True, help="Start a first server.", show_default=True)
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(min=1),
    default=900,
    show_default=True,
    help="Seconds to wait for the first server.",
)
@output.option
@click.pass_obj
def command(installation: Installation, form: str, **asked: Any) -> None:
    """Start one-machine mode in the background, and a first server; run again, it goes on where it stopped."""
    caller.require_root("vs up")
    report = progress.StepPrinter()
    take_over(installation, report)
    asked["uplink"] = "" if asked["uplink"] == "none" else asked["uplink"]
    start = up.Start(installation=installation, report=report, by=caller.Caller.find(), **asked)
    _announce(start, report)
    summary = up.run(start)
    try:
        boot.follow(installation)
    except LocalError as error:  # it runs all the same
        report.say(f"systemd does not shut its guests down with the machine: {error}; `vs enable` tries it again.")
    if form == "json":
        output.as_json(encode(summary))
    else:
        output.say(text(summary, link=_link(installation)))
