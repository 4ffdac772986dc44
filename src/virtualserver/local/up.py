"""The start: from nothing to a server that answers, as a list of steps that can each be run again.

A step looks first whether its result is there. So a second run takes seconds while all runs, and a run after a failure
goes on from the step that failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from virtualserver import controlplane
from virtualserver.host.files import write_atomically
from virtualserver.installation import lock, ranges
from virtualserver.installation.errors import InstallationError
from virtualserver.local import aliases, caller, doctor, hello, images, inventory, listening, networks, pools, status
from virtualserver.local.errors import ConflictError, LocalError
from virtualserver.local.kubectl import Kubectl
from virtualserver.local.takeover import take_over

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from virtualserver.fabric.desired import state
    from virtualserver.host.progress import Update
    from virtualserver.installation.installation import Installation
    from virtualserver.local.report import Report
    from virtualserver.local.status import InstallationStatus

__all__ = ["STEPS", "Start", "StartStep", "Summary", "plan_of", "run"]

_IMAGE_PLAN = "guest image: about 130 MB of Debian packages, built into an image of 0.4 GB in about 2 minutes"
"""What building the first server's image takes; measured in docs/measurements.md."""

_IMAGE_BYTES = 3 * 2**29
"""What must be free to begin it: what `doctor` asks for a first start, less what the control plane wrote since."""


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """What a start came to.

    Attributes:
        status: How the installation is now, without what the API server has.
        server: The first server; None where none was asked for.
        reach: From where its address is reached, as a part of a sentence; ``""`` without a server that has one.
        staying: Who has an address of a network that its pool had before.
    """

    status: InstallationStatus
    server: hello.Reachable | None
    reach: str = ""
    staying: tuple[pools.Staying, ...] = ()

    @property
    def login(self) -> str:
        """The command that logs in to the first server; ``""`` where it does not answer."""
        if self.server is None or not self.server.answers:
            return ""
        return f"ssh -F {self.status.installation.ssh / 'config'} {self.server.name}"


@dataclasses.dataclass(slots=True)
class Start:
    """One start: what was asked for, and what the steps have found so far.

    Attributes:
        installation: What is started.
        report: Told what is done.
        by: Whose kubeconfig and key it will be.
        public: Networks of the public pool, or ``host`` alone: the machine's own address; empty means that the
            installation takes its own.
        private: The same for the private pool.
        uplink: The link on which the named public pool is answered for, ``""`` for none; None: as before.
        programs_folder: Where the control plane's programs lie; None means cache or build.
        official: True downloads the official release instead of building it.
        seconds: How long to wait for the first server.
        with_hello: False starts no first server.
        listen: Where users of other machines reach the API server; None: as before, ``"none"``: nowhere.
        server: The first server, once it answers.
        held: What is released once the control plane runs, or the run ends.
    """

    installation: Installation
    report: Report
    by: caller.Caller
    public: tuple[state.Network | Literal["host"], ...] = ()
    private: tuple[state.Network, ...] = ()
    uplink: str | None = None
    programs_folder: Path | None = None
    official: bool = False
    seconds: float = 900
    with_hello: bool = True
    listen: state.Address | Literal["none"] | None = None
    server: hello.Reachable | None = None
    held: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)

    @property
    def programs(self) -> controlplane.Programs:
        """The control plane's programs; only after the step that obtains them."""
        found = controlplane.find(self.installation, named=self.programs_folder, official=self.official)
        if found is None:
            raise LocalError("the control plane's programs are not there any more.")
        return found

    @property
    def kubectl(self) -> Kubectl:
        """The kubectl of the installation; only after the step that obtains it."""
        return Kubectl(self.installation, program=self.programs.kubectl)


@dataclasses.dataclass(frozen=True, slots=True)
class StartStep:
    """One idempotent part of a start.

    Attributes:
        title: What a person reads.
        do: Makes its result so; it is called on every run.
        remedy: What to do when it fails.
        is_for_hello: True where only the first server needs it.
    """

    title: str
    do: Callable[[Start, Update], None]
    remedy: str
    is_for_hello: bool = False


def check_machine(start: Start, update: Update) -> None:
    """Refuse to begin on a machine on which a later step cannot work."""
    update("looking at programs, memory and disk", None)
    blocking = [finding for finding in doctor.prerequisites(start.installation) if finding.level is doctor.Level.FAILED]
    if blocking:
        raise LocalError("\n  ".join(f"{f.subject}: {f.found} {f.remedy}".strip() for f in blocking))
    if start.listen is not None and start.listen != "none":
        listening.check(start.listen)


def choose_ranges(start: Start, update: Update) -> None:
    """Take the installation's networks at its first start, and other pools where its owner names others later."""
    start.installation.create()
    start.installation.identifier()
    pools.check(start.public, start.uplink)
    recorded = start.installation.record().ranges
    if recorded is None:
        start.held.enter_context(networks.choosing(update))
        update("looking for networks that nobody uses", None)
        taken = networks.taken(start.installation)
        try:
            named, is_host = pools.networks_of(start.public), "host" in start.public
            chosen = ranges.choose(taken, public=named, private=start.private, is_public_host=is_host)
        except ranges.RangesExhaustedError as error:
            raise LocalError(str(error)) from error
        chosen = dataclasses.replace(chosen, uplink=start.uplink or "")
    else:
        chosen = pools.changed(
            start.installation, ranges.decode(recorded), public=start.public, private=start.private, uplink=start.uplink
        )
    if not chosen.answered():
        chosen = dataclasses.replace(chosen, uplink="")
    if start.uplink and not chosen.uplink:
        raise ConflictError(
            f"--uplink {start.uplink}: no pool is named that could be answered for there.",
            remedy="Name the public pool too: vs up --uplink IF --public-pool NETWORK.",
        )
    if recorded is None or ranges.encode(chosen) != recorded:
        asked = pools.networks_of(start.public)
        pools.check_links(asked, start.private, chosen.uplink, networks.on_links() if asked or start.private else {})
        with start.installation.changing() as record:
            record.ranges = ranges.encode(chosen)
    plane = inventory.data_plane(start.installation)
    if plane is not None:
        asyncio.run(plane.check_name())
    check_routes(start.installation, chosen)


def check_routes(installation: Installation, chosen: state.Ranges) -> None:
    """Refuse networks that somebody else has taken while the installation was down: the kernel keeps one route to each.

    Raises:
        ConflictError: There is such a route; the message shows it.
    """
    if inventory.has_links(installation):
        return
    clashes = inventory.foreign_routes(installation, [*chosen.whole(), *chosen.link], exactly=True)
    if clashes:
        raise ConflictError(
            "\n  ".join(clashes),
            remedy="Stop what has that route (perhaps another instance: vs down), or give this instance other "
            "networks: vs down --purge, then vs up.",
        )


def obtain_programs(start: Start, update: Update) -> None:
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


def start_control_plane(start: Start, update: Update) -> None:
    """Start the supervisor and wait until every component is ready; the kubeconfig belongs to the caller."""
    recorded = start.installation.record().ranges
    assert recorded is not None  # noqa: S101 - the step before has chosen them
    chosen = ranges.decode(recorded)
    listen = listening.recorded(start.installation) if start.listen is None else start.listen
    listen = None if listen == "none" else listen
    controlplane.start(
        start.installation,
        start.programs,
        options=controlplane.Options(
            service_ranges=chosen.service,
            listen=listen,
            names=listening.names_for(listen),
            networks=recorded.digest,
        ),
        admin=(start.by.uid, start.by.gid),
        progress=update,
    )
    aliases.grant_aliases(start.installation, start.kubectl)
    start.held.close()
    if start.by.uid != 0:
        start.by.own(start.installation.kubeconfig)


def build_image(start: Start, update: Update) -> None:
    """Build the image that the first server's disk is cloned from."""
    source = hello.manifest()["spec"]["storage"]["root"]["source"]["pvc"]["name"]
    if not images.is_there(start.kubectl, source):
        _check_room(start.installation)
        images.make(start.installation, start.kubectl, source, name=source, update=update)


def _check_room(installation: Installation) -> None:
    """Refuse to build an image that would take the disk's rest from etcd and from guests; they can be deleted now."""
    free = shutil.disk_usage(installation.root).free
    if free < _IMAGE_BYTES:
        raise LocalError(
            f"{free / 2**30:.1f} GiB free in {installation.root}, {_IMAGE_BYTES / 2**30} GiB are needed for an image.",
            remedy="Free some (vs delete NAME), or leave the first server out: vs up --no-hello",
        )


def apply_hello(start: Start, update: Update) -> None:
    """Apply the first server with the caller's ssh key, and wait until it answers."""
    folder = start.installation.ssh
    key = caller.ssh_key(start.by, folder)
    recorded = start.installation.record().ranges
    # The machine's own ports 22 and 80 are likely to be its own.
    hello.apply(start.kubectl, key, is_public=not (recorded and recorded.host))
    start.server = hello.wait(start.kubectl, update, seconds=start.seconds)
    if start.server.address:
        folder.mkdir(mode=0o700, exist_ok=True)
        start.by.own(folder, mode=0o700)
        configuration = folder / "config"
        write_atomically(configuration, hello.ssh_configuration(start.server, key))
        start.by.own(configuration)


STEPS: Sequence[StartStep] = (
    StartStep("This machine", check_machine, "Mend what is named, then run it again; `vs doctor` shows everything."),
    StartStep(
        "Control plane programs", obtain_programs, "The build goes on from where it stopped when you run it again."
    ),
    StartStep(
        "Networks", choose_ranges, "Name free ones: vs up --public-pool 192.0.2.0/24 --private-pool 10.99.0.0/24"
    ),
    StartStep(
        "Control plane", start_control_plane, "`vs status` and `vs doctor` show what is wrong; logs are named there."
    ),
    StartStep("Guest image", build_image, "Run it again; the build of the image begins anew.", is_for_hello=True),
    StartStep(
        "First server", apply_hello, "`vs kubectl describe vs hello` shows what it waits for.", is_for_hello=True
    ),
)


def run(start: Start) -> Summary:
    """Run every step in order; the first that fails ends the run and says which, why and what to do.

    Raises:
        LocalError: A step failed. What the steps before it made stays, and the next run goes on from there.
    """
    with lock.held(start.installation, start.report.once), start.held:
        take_over(start.installation, start.report)
        for step in STEPS:
            if start.with_hello or not step.is_for_hello:
                _take(step, start)
    return Summary(
        status.of(start.installation, with_objects=False),  # nothing of them is told
        start.server,
        reach=_reach(start),
        staying=tuple(pools.staying(start.installation)),
    )


def _reach(start: Start) -> str:
    recorded = start.installation.record().ranges
    if recorded is None or start.server is None or not start.server.address:
        return ""
    return pools.reach(ranges.decode(recorded), ipaddress.ip_address(start.server.address))


def _take(step: StartStep, start: Start) -> None:
    try:
        with start.report.step(step.title) as update:
            step.do(start, update)
    except LocalError as failure:
        raise failure.during(step.title, remedy=step.remedy) from failure
    except (controlplane.ControlPlaneError, InstallationError, OSError) as error:
        raise LocalError(f"step {step.title!r} failed: {error}", remedy=step.remedy) from error


def plan_of(start: Start) -> list[str]:
    """Return what a start will build and download, in sentences; empty where everything is there."""
    lines = list(controlplane.plan_of(start.installation, named=start.programs_folder, official=start.official))
    if start.with_hello and not images.store_of(start.installation).all():
        lines.append(_IMAGE_PLAN)
    if lines:
        free = shutil.disk_usage(_existing(start.installation.root)).free / 2**30
        lines.append(f"the state folder has {free:.0f} GiB free; a later start only waits for the guests to boot")
    return lines


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
