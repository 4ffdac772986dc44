"""What one-machine mode needs of this machine, how it is, and the remedy where it is not."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import os
import platform
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from virtualserver import controlplane
from virtualserver.controlplane import site
from virtualserver.installation import ports, ranges
from virtualserver.local import inventory, listening, networks, pools
from virtualserver.machines import accelerator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from virtualserver.fabric.desired.state import Network
    from virtualserver.installation.installation import Installation

__all__ = [
    "IMAGE_PROGRAMS",
    "PROGRAMS",
    "Finding",
    "Level",
    "cards",
    "closed_folder",
    "doubled",
    "findings",
    "judged",
    "prerequisites",
]

PROGRAMS = {
    "nft": "nftables",
    "ss": "iproute2",
    "dnsmasq": "dnsmasq-base",
    "dhcp_release": "dnsmasq-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "setpriv": "util-linux",
    "ssh-keygen": "openssh-client",
    "xorriso": "xorriso",
}
"""Programs without which nothing runs, and the Debian packages that have them."""

IMAGE_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "lz4": "lz4",
}
"""Programs that only building an image needs."""

_VERSIONS = {
    "nft": ("--version",),
    "ss": ("-V",),
    "dnsmasq": ("--version",),
    "qemu-system-x86_64": ("--version",),
}
_GIB = 2**30
_FORWARDING = Path("/proc/sys/net/ipv4/conf")
_MEMINFO = Path("/proc/meminfo")
_LEAST_DISK = 128 * 2**20
"""In bytes: what etcd needs, which reserves 64 MiB at a time, and logs besides."""


class Level(enum.StrEnum):
    """What a finding means."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not all of it, or not as well as it could."""
    FAILED = "failed"
    """`vs up` cannot work."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What it is.
        level: Whether it is as it should be.
        found: What was found, in words.
        remedy: What to do; ``""`` where nothing is to be done.
    """

    subject: str
    level: Level
    found: str
    remedy: str = ""


def findings(installation: Installation) -> Iterator[Finding]:
    """Yield everything that `vs up` needs or may be hindered by."""
    yield from prerequisites(installation)
    yield from _image_programs()
    yield judged(asyncio.run(accelerator.probe()), is_there=Path("/dev/kvm").exists())
    for look in (_ports, _listening, _ranges, _cards, _firewalls, _left_behind):
        yield from look(installation)


def prerequisites(installation: Installation) -> Iterator[Finding]:
    """Yield what must be right before `vs up` begins; none of it takes long to look at."""
    yield _root()
    yield _python()
    yield from programs()
    yield _tun()
    yield memory(_MEMINFO.read_text(), is_first=not _was_started(installation))
    yield _disk(installation)
    yield from _site(installation)


def _root() -> Finding:
    if os.getuid() == 0:
        return Finding("root", Level.OK, "running as root")
    return Finding("root", Level.FAILED, f"running as user {os.getuid()}", "Run it as root or through sudo.")


def _python() -> Finding:
    version = platform.python_version()
    closed = closed_folder(Path(sys.executable))
    if closed is not None:
        return Finding(
            "python",
            Level.FAILED,
            f"{sys.executable}: other users cannot enter {closed}, and components run without root's rights.",
            "Use `make up`, which makes an environment that they can use, or a Python outside of a home folder.",
        )
    return Finding("python", Level.OK, version)


def closed_folder(path: Path) -> Path | None:
    """Return the first folder on the way to a program's real file that others cannot enter, None where all can."""
    for folder in reversed([*path.absolute().parents, *path.resolve().parents]):
        if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def find_program(name: str) -> str | None:
    """Return a program's path; system programs count too where the caller's PATH leaves them out."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def programs() -> Iterator[Finding]:
    """Yield whether each program that guests and packets need is there, and its version."""
    for name, package in PROGRAMS.items():
        path = find_program(name)
        if path is None:
            yield Finding(name, Level.FAILED, "is missing.", f"apt-get install --no-install-recommends {package}")
        else:
            yield Finding(name, Level.OK, _version(path, _VERSIONS[name]) if name in _VERSIONS else path)


def _version(path: str, arguments: tuple[str, ...]) -> str:
    done = subprocess.run([path, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].strip() if lines else path


def _image_programs() -> Iterator[Finding]:
    missing = {name: package for name, package in IMAGE_PROGRAMS.items() if find_program(name) is None}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        yield Finding(
            "image programs",
            Level.WARNING,
            f"{', '.join(missing)}: missing, so `vs image build` cannot work.",
            f"apt-get install --no-install-recommends {packages}",
        )
    else:
        yield Finding("image programs", Level.OK, ", ".join(IMAGE_PROGRAMS))


def _tun() -> Finding:
    if Path("/dev/net/tun").exists():
        return Finding("tun device", Level.OK, "/dev/net/tun")
    return Finding(
        "tun device", Level.FAILED, "/dev/net/tun is missing.", "modprobe tun (in a container: pass the device in)"
    )


def _was_started(installation: Installation) -> bool:
    """Return whether guests of its own may have what is missing: they give it back through the API, once that runs."""
    return installation.record().controlplane is not None


def memory(meminfo: str, *, is_first: bool = True) -> Finding:
    """Judge free memory: the control plane takes 0.5 GiB, the first server 1 GiB and, without KVM, 0.6 for QEMU.

    Args:
        meminfo: What the kernel says of it.
        is_first: Whether the instance was never started; else its own guests may have the memory, and nothing blocks.
    """
    values = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    available = int(values["MemAvailable"].split()[0]) * 1024 / _GIB
    found = f"{available:.1f} GiB available"
    if is_first and available < 0.75:
        return Finding("memory", Level.FAILED, found + ", 0.75 GiB are needed.", "End other programs.")
    if available < 2.5:
        return Finding(
            "memory", Level.WARNING, found + ", 2.5 GiB are advised.", "End other programs, or make servers small."
        )
    return Finding("memory", Level.OK, found)


def _disk(installation: Installation) -> Finding:
    """Judge free space: the control plane's build takes 5 GiB for a while, an image and a server 2 GiB.

    What was started and built needs neither, and guests may have filled the disk: it starts, so that they can go.
    """
    folder = installation.root
    while not folder.exists():
        folder = folder.parent
    left = shutil.disk_usage(folder).free
    free = left / _GIB
    built = controlplane.find(installation) is not None
    needed = 2 if built else 7
    found = f"{free:.1f} GiB free in {folder}"
    if free < needed and built and _was_started(installation):
        if left < _LEAST_DISK and not controlplane.status(installation).running:
            found = f"{left >> 20} MiB free in {folder}, {_LEAST_DISK >> 20} MiB are needed."
            return Finding("disk", Level.FAILED, found, "Free some, such as the caches in .controlplane.")
        remedy = "Delete servers, kept disks or images that nobody needs."
        return Finding("disk", Level.WARNING, f"{found}, {needed} GiB are advised.", remedy)
    if free < needed:
        return Finding(
            "disk",
            Level.FAILED,
            f"{found}, {needed} GiB are needed.",
            "Free some, or choose another folder (VS_STATE).",
        )
    return Finding("disk", Level.OK, found)


def _site(installation: Installation) -> Iterator[Finding]:
    found = site.faults(installation)
    for fault in found:
        yield Finding("site", Level.FAILED, f"{installation.site_file}: {fault}.", "docs/site.md has every key.")
    if not found and installation.site_file.exists():
        yield Finding("site", Level.OK, str(installation.site_file))


def judged(found: accelerator.Accelerator, *, is_there: bool) -> Finding:
    """Return what is said of an accelerator.

    Args:
        found: The one that guests have.
        is_there: Whether the kernel offers KVM at all: then the reason says what keeps guests from it.
    """
    if found.name == "kvm":
        return Finding("accelerator", Level.OK, f"kvm: {found.reason}")
    remedy = "Enable virtualisation in the firmware, or nested virtualisation where this is a virtual machine."
    told = f"{found.name}: {found.reason}. Guests run about 20 times slower."
    return Finding("accelerator", Level.WARNING, told, "" if is_there else remedy)


def _ports(installation: Installation) -> Iterator[Finding]:
    recorded = installation.record().ports
    if not recorded:
        yield Finding("ports", Level.OK, "free ones are chosen at the first start")
        return
    listed = ", ".join(f"{name} {number}" for name, number in recorded.items())
    own = [part.pid for part in controlplane.status(installation).components if part.pid]
    faults = ports.faults(recorded, address="127.0.0.1", own=own, record=installation.record_file)
    for fault in faults:
        yield Finding("ports", Level.FAILED, fault)
    if not faults:
        yield Finding("ports", Level.OK, listed)


def _listening(installation: Installation) -> Iterator[Finding]:
    found = listening.now(installation)
    if found is None:
        yield Finding("other machines", Level.OK, "cannot reach the API server: vs up --listen ADDRESS opens it")
    elif found.fault:
        remedy = "vs up --listen ADDRESS takes another one, vs up --listen none gives it up."
        yield Finding("other machines", Level.WARNING, f"are to reach {found.url}, but {found.fault}.", remedy)
    else:
        yield Finding("other machines", Level.OK, f"reach the API server at {found.url}")


def _ranges(installation: Installation) -> Iterator[Finding]:
    recorded = installation.record().ranges
    if recorded is None:
        yield Finding("networks", Level.OK, "free ones are taken at the first start")
        return
    own = networks.all_of(ranges.decode(recorded))
    clashes = [
        f"{network} overlaps {other} of instance {name}"
        for name, others in networks.of_other_installations(installation).items()
        for other in others
        for network in own
        if network.version == other.version and network.overlaps(other)  # type: ignore[arg-type]
    ]
    clashes += inventory.foreign_routes(installation, own)
    for clash in clashes:
        yield Finding(
            "networks",
            Level.FAILED,
            clash + ".",
            "Remove the route, or name other pools (vs up --public-pool NETWORK, or --private-pool). Where it is of no "
            "pool: vs down --purge, which removes the servers too, and vs up.",
        )
    if not clashes:
        yield Finding("networks", Level.OK, ", ".join(map(str, own)))


def _cards(installation: Installation) -> Iterator[Finding]:
    recorded = installation.record().ranges
    chosen = ranges.decode(recorded) if recorded else None
    if chosen is None or not chosen.routed:
        return
    others = (network for several in networks.of_other_installations(installation).values() for network in several)
    ours = {*chosen.link, *others}
    found = networks.on_links()
    links = [link for link, several in found.items() if ours.isdisjoint(several)]
    yield from cards({link: _FORWARDING.joinpath(link, "forwarding").read_text().strip() == "1" for link in links})
    answered = [*chosen.answered(4), *chosen.answered(6)]
    yield from doubled(chosen.uplink, {network: pools.links_of(network, found) for network in answered})


def doubled(uplink: str, links: Mapping[Network, Sequence[str]]) -> Iterator[Finding]:
    """Judge the links that have the network of a pool that is answered for on one of them; pure.

    Args:
        uplink: Where it is answered for.
        links: All links that have a part of each network.
    """
    for network, several in links.items():
        for link in several if uplink in several else ():
            if link != uplink:
                yield Finding(
                    f"link {link}",
                    Level.WARNING,
                    f"has the network of pool {network} too, which is answered for on {uplink} alone: what is asked "
                    f"there gets no answer, and what servers send to machines of that network may leave there.",
                    f"Take the network from one of the cards (ip address del ADDRESS dev {link}), or name a pool in a "
                    f"network that {uplink} alone has: vs up --uplink {uplink} --public-pool NETWORK",
                )


def cards(forwarding: Mapping[str, bool]) -> Iterator[Finding]:
    """Judge the links by which clients may come; pure.

    Args:
        forwarding: Of each link with an address, whether packets that come by it are passed on.
    """
    closed = [link for link, passes in forwarding.items() if not passes]
    for link in closed:
        yield Finding(
            f"link {link}",
            Level.WARNING,
            "passes no packets on, so that nobody behind it reaches a server.",
            f"Where somebody there shall: sysctl -w net.ipv4.conf.{link}.forwarding=1, or vs up --uplink {link}",
        )
    if forwarding and not closed:
        yield Finding("links", Level.OK, f"clients reach servers by {', '.join(forwarding)}")


def _firewalls(installation: Installation) -> Iterator[Finding]:
    blockers = inventory.blockers(installation)
    for blocker in blockers:
        yield Finding("firewall", Level.WARNING, f"{blocker.where}: {blocker.reason}", blocker.remedy)
    if not blockers:
        yield Finding("firewall", Level.OK, "no rule of others drops the servers' packets")


def _left_behind(installation: Installation) -> Iterator[Finding]:
    now = controlplane.status(installation)
    if now.ready:
        yield Finding("instance", Level.OK, f"{installation.name} runs")
        return
    if now.running:
        found = f"{installation.name} runs and waits for {now.waiting_for}."
        yield Finding("instance", Level.WARNING, found, f"See the logs in {installation.logs}")
        return
    if now.components:
        found = f"{installation.name}: its supervisor has ended; what runs goes on."
        yield Finding("instance", Level.WARNING, found, "vs up takes it over, vs down ends it")
        return
    left = [item for item in inventory.of(installation) if item.kind != "file"]
    if left:
        names = ", ".join(f"{item.kind} {item.name}" for item in left[:6]) + (" …" if len(left) > 6 else "")
        yield Finding("instance", Level.WARNING, f"{installation.name} does not run, but left: {names}.", "vs down")
    else:
        yield Finding("instance", Level.OK, f"{installation.name} does not run, and left nothing")
