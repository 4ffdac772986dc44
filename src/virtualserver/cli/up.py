"""``vs up``: from nothing to a server that answers, as a list of steps that can each be run again.

A step looks first whether its result is there. So a second run takes seconds, and a run after a failure goes on from
the step that failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from virtualserver import controlplane
from virtualserver.cli import caller, doctor, failures, hello, host, image, networks, output, progress, summary
from virtualserver.cli.kubectl import Kubectl
from virtualserver.host.files import write_atomically
from virtualserver.installation import ranges
from virtualserver.installation.errors import InstallationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from virtualserver.fabric.desired import state
    from virtualserver.installation.installation import Installation

__all__ = ["STEPS", "Start", "Step", "command"]


@dataclasses.dataclass(slots=True)
class Start:
    """One run of ``vs up``: what was asked for, and what the steps have found so far.

    Attributes:
        installation: What is started.
        report: Told what is done.
        by: Whose kubeconfig and key it will be.
        public: Networks of the public pool; empty means that the installation takes its own.
        private: The same for the private pool.
        programs_folder: Where the control plane's programs lie; None means cache or build.
        official: True downloads the official release instead of building it.
        seconds: How long to wait for the first server.
        with_hello: False starts no first server.
        server: The first server, once it answers.
        held: What is released once the control plane runs, or the run ends.
    """

    installation: Installation
    report: progress.Progress
    by: caller.Caller
    public: tuple[state.Network, ...] = ()
    private: tuple[state.Network, ...] = ()
    programs_folder: Path | None = None
    official: bool = False
    seconds: float = 900
    with_hello: bool = True
    server: hello.Reachable | None = None
    held: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)

    @property
    def programs(self) -> controlplane.Programs:
        """The control plane's programs; only after the step that obtains them."""
        found = controlplane.find(self.installation, named=self.programs_folder, official=self.official)
        if found is None:
            raise failures.Failure("the control plane's programs are not there any more.")
        return found

    @property
    def kubectl(self) -> Kubectl:
        """The kubectl of the installation; only after the step that obtains it."""
        return Kubectl(self.installation, program=self.programs.kubectl)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One idempotent part of ``vs up``.

    Attributes:
        title: What a person reads.
        do: Makes its result so; it is called on every run.
        remedy: What to do when it fails.
        is_for_hello: True where only the first server needs it.
    """

    title: str
    do: Callable[[Start, progress.Update], None]
    remedy: str
    is_for_hello: bool = False


def check_machine(start: Start, update: progress.Update) -> None:
    """Refuse to begin on a machine on which a later step cannot work."""
    update("looking at programs, memory and disk", None)
    blocking = [finding for finding in doctor.prerequisites(start.installation) if finding.level is doctor.Level.FAILED]
    if blocking:
        raise failures.Failure("\n  ".join(f"{f.subject}: {f.found} {f.remedy}".strip() for f in blocking))


def choose_ranges(start: Start, update: progress.Update) -> None:
    """Take the installation's networks, at its first start only, and remember them."""
    start.installation.create()
    start.installation.identifier()
    recorded = start.installation.record().ranges
    if recorded is None:
        start.held.enter_context(networks.choosing(update))
        update("looking for networks that nobody uses", None)
        try:
            chosen = ranges.choose(networks.taken(start.installation), public=start.public, private=start.private)
        except ranges.RangesExhaustedError as error:
            raise failures.Failure(str(error)) from error
        with start.installation.changing() as record:
            record.ranges = recorded = ranges.encode(chosen)
    chosen = ranges.decode(recorded)
    for option, asked, has in (
        ("--public-pool", start.public, chosen.public),
        ("--private-pool", start.private, chosen.private),
    ):
        present = {network for networks_of_pool in has.values() for network in networks_of_pool}
        if not set(asked) <= present:
            raise failures.Conflict(
                f"{option}: instance {start.installation.name!r} took {', '.join(map(str, present))} at its first "
                "start, and servers may use it.",
                remedy="Remove the instance first (vs down --purge), or start another one (VS_INSTANCE=NAME).",
            )
    plane = host.data_plane(start.installation)
    if plane is not None:
        asyncio.run(plane.check_name())
    check_routes(start.installation, chosen)


def check_routes(installation: Installation, chosen: state.Ranges) -> None:
    """Refuse networks that somebody else has taken while the installation was down: the kernel keeps one route to each.

    Raises:
        Conflict: There is such a route; the message shows it.
    """
    if host.has_links(installation):
        return
    pools = [network for pools in (chosen.public, chosen.private) for pool in pools.values() for network in pool]
    clashes = host.foreign_routes(installation, [*pools, chosen.link], exactly=True)
    if clashes:
        raise failures.Conflict(
            "\n  ".join(clashes),
            remedy="Stop what has that route (perhaps another instance: vs down), or give this instance other "
            "networks: vs down --purge, then vs up.",
        )


def obtain_programs(start: Start, update: progress.Update) -> None:
    """Find, build or download the control plane's programs, and put ours on one folder for PATH."""
    programs = controlplane.obtain(
        start.installation, named=start.programs_folder, official=start.official, progress=update
    )
    link_programs(start.installation, programs)


def link_programs(installation: Installation, programs: controlplane.Programs) -> None:
    """Make the folder for PATH: ``vs``, the kubectl plugin and the kubectl that belongs to the control plane."""
    folder = installation.commands
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    wanted = {name: Path(sys.executable).parent / name for name in ("vs", "kubectl-vs", "kubectl_complete-vs")}
    for name, target in {**wanted, "kubectl": programs.kubectl}.items():
        link = folder / name
        if target.exists() and (not link.is_symlink() or link.readlink() != target):
            link.unlink(missing_ok=True)
            link.symlink_to(target)


def start_control_plane(start: Start, update: progress.Update) -> None:
    """Start the supervisor and wait until every component is ready; the kubeconfig belongs to the caller."""
    recorded = start.installation.record().ranges
    assert recorded is not None  # noqa: S101 - the step before has chosen them
    chosen = ranges.decode(recorded)
    controlplane.start(
        start.installation,
        start.programs,
        options=controlplane.Options(service_ranges=chosen.service),
        progress=update,
    )
    start.held.close()
    if start.by.uid != 0:
        start.by.own(start.installation.kubeconfig)


def build_image(start: Start, update: progress.Update) -> None:
    """Build the image that the first server's disk is cloned from."""
    source = hello.manifest()["spec"]["storage"]["root"]["source"]["pvc"]["name"]
    if not image.is_there(start.kubectl, source):
        image.build(start.installation, start.kubectl, source, name=source, update=update)


def apply_hello(start: Start, update: progress.Update) -> None:
    """Apply the first server with the caller's ssh key, and wait until it answers."""
    folder = start.installation.ssh
    key = caller.ssh_key(start.by, folder)
    hello.apply(start.kubectl, key)
    start.server = hello.wait(start.kubectl, update, seconds=start.seconds)
    if start.server.address:
        folder.mkdir(mode=0o700, exist_ok=True)
        start.by.own(folder, mode=0o700)
        configuration = folder / "config"
        write_atomically(configuration, hello.ssh_configuration(start.server, key))
        start.by.own(configuration)


STEPS: Sequence[Step] = (
    Step("This machine", check_machine, "Mend what is named, then run it again; `vs doctor` shows everything."),
    Step("Control plane programs", obtain_programs, "The build goes on from where it stopped when you run it again."),
    Step("Networks", choose_ranges, "Name free ones: vs up --public-pool 192.0.2.0/24 --private-pool 10.99.0.0/24"),
    Step("Control plane", start_control_plane, "`vs status` and `vs doctor` show what is wrong; logs are named there."),
    Step("Guest image", build_image, "Run it again; the build of the image begins anew.", is_for_hello=True),
    Step("First server", apply_hello, "`vs kubectl describe vs hello` shows what it waits for.", is_for_hello=True),
)


def run(start: Start) -> None:
    """Run every step in order; the first that fails ends the run and says which, why and what to do.

    Raises:
        Failure: A step failed. What the steps before it made stays, and the next run goes on from there.
    """
    with start.held:
        _run(start)


def _run(start: Start) -> None:
    for step in STEPS:
        if step.is_for_hello and not start.with_hello:
            continue
        try:
            with start.report.step(step.title) as update:
                step.do(start, update)
        except failures.Failure as failure:
            raise failure.during(step.title, remedy=step.remedy) from failure
        except (controlplane.ControlPlaneError, InstallationError, OSError) as error:
            raise failures.Failure(f"step {step.title!r} failed: {error}", remedy=step.remedy) from error


def announce(start: Start) -> None:
    """Say first what will be built and downloaded; nothing where everything is there."""
    lines = list(controlplane.plan_of(start.installation, named=start.programs_folder, official=start.official))
    if start.with_hello and not image.store_of(start.installation).all():
        lines.append(summary.IMAGE_PLAN)
    if lines:
        free = shutil.disk_usage(_existing(start.installation.root)).free / 2**30
        start.report.say(
            f"First start of instance {start.installation.name!r} in {start.installation.state}; nothing is asked:"
        )
        for line in lines:
            start.report.say(f"  - {line}")
        start.report.say(f"  - the state folder has {free:.0f} GiB free; a later start takes seconds")


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


@click.command("up")
@click.option("--public-pool", "public", type=networks.NETWORK, multiple=True, help="Network of the public pool.")
@click.option("--private-pool", "private", type=networks.NETWORK, multiple=True, help="Network of the private pool.")
@click.option(
    "--controlplane",
    "programs_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with kube-apiserver, etcd, kube-controller-manager and kubectl; nothing is built then.",
)
@click.option("--official", is_flag=True, help="Download Kubernetes' official release instead of building it.")
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
    start = Start(installation=installation, report=progress.Progress(), by=caller.Caller.find(), **asked)
    announce(start)
    with controlplane.locked(installation, start.report.once):
        run(start)
    result = summary.of(start.installation, server=start.server)
    if form == "json":
        output.as_json(result)
    else:
        click.echo(summary.text(result))
