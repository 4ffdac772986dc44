"""Debian 13 with systemd-networkd, systemd-resolved and its own cloud-init, booted in a container.

A virtual machine of it takes minutes to start without KVM, and a container seconds. Its init is the real one, and so
is all that it starts; the network cards are two ends of veth pairs, in a network namespace of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.guest.image import CACHE, package
from harness.waiting import eventually
from virtualserver.storage import builds
from virtualserver.storage.builds import debian

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["MACS", "Booted", "booted"]

MACS: Final = ("02:00:00:00:00:01", "02:00:00:00:00:02")
"""Of the card at which somebody answers DHCP, and of the silent one."""

_RELEASE: Final = "trixie"
_PACKAGES: Final = (
    *("systemd-sysv", "systemd-resolved", "udev", "dbus", "cloud-init", "sudo", "passwd", "login", "locales"),
    *("iproute2", "netbase", "procps", "tzdata"),
)
_CLOUD: Final = """\
datasource_list: [NoCloud, None]
users: [default]
manage_etc_hosts: localhost
cloud_init_modules: [bootcmd, write_files, set_hostname, update_hostname, update_etc_hosts, users_groups]
cloud_config_modules: [locale, set_passwords, timezone, runcmd]
cloud_final_modules: [write_files_deferred, scripts_user, final_message]
system_info: {distro: debian, default_user: {name: debian}, network: {renderers: [networkd]}}
"""


class Booted:
    """A container whose cloud-init has ended.

    Attributes:
        root: Its file system.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> str:
        """Return a file of the guest's."""
        return (self.root / path.lstrip("/")).read_text()


@contextlib.contextmanager
def booted(*, user_data: str, network_config: str, searches: str, seconds: float = 120) -> Generator[Booted]:
    """Boot a guest and wait until its cloud-init has ended.

    Args:
        user_data: As its seed has it; its last command makes ``/root/report``.
        network_config: The same.
        searches: What DHCP says to search, with commas.
        seconds: How long its start may take.
    """
    system, nspawn = _kept()
    name = f"vst-{secrets.token_hex(3)}"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vsm-")))
        root = stack.enter_context(_overlay(system, folder))
        seed = root / "var/lib/cloud/seed/nocloud"
        seed.mkdir(parents=True)
        (seed / "meta-data").write_text(f'{{"instance-id": "{name}", "local-hostname": "web"}}')
        (seed / "user-data").write_text(user_data)
        (seed / "network-config").write_text(network_config)
        stack.enter_context(_network(name, searches, folder))
        # Its /sys is the namespace's, in which no cgroups are yet.
        start = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
        options = ("--register=no", "--keep-unit", "--capability=CAP_NET_ADMIN,CAP_NET_RAW", "--console=pipe")
        command = [str(nspawn), *options, f"--machine={name}", "-D", str(root), "--boot"]
        with (folder / "console").open("w") as console:
            process = subprocess.Popen(
                ["ip", "netns", "exec", name, "sh", "-c", start, "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        try:
            report = root / "root/report"
            eventually(lambda: report.exists() and "END" in report.read_text(), what="its report", seconds=seconds)
            yield Booted(root)
        except AssertionError as error:
            error.add_note((folder / "console").read_text()[-3000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGTERM)  # the second ends it at once
                process.wait(20)


def _kept() -> tuple[Path, Path]:
    """Return the system's folder and the program that boots it, made once and kept."""
    CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return asyncio.run(_system()), asyncio.run(_nspawn())


async def _system() -> Path:
    key = hashlib.sha256(repr((_RELEASE, _PACKAGES, _CLOUD)).encode()).hexdigest()[:16]
    kept = CACHE / f"debian-{_RELEASE}-{key}"
    if kept.exists():
        return kept
    targets = await builds.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)",
            "Created-By: Packages",
        ],
        step="reading the apt sources",
    )
    own = debian.codename()
    sources = [line for line in debian.sources_from(targets.decode()) if f" {own} " in line]
    options = debian.apt_options((await builds.run(["apt-config", "dump"], step="reading apt's settings")).decode())
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        root = Path(folder, "root")
        await builds.run(
            [
                *("unshare", "--mount", "--propagation", "private", "mmdebstrap", "--mode=root", "--variant=apt"),
                *("--format=directory", "--skip=output/dev", *options, "--aptopt=Apt::Install-Recommends false"),
                *("--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/doc/*"),
                *(f"--include={','.join(_PACKAGES)}", _RELEASE, str(root)),
                *(line.replace(f" {own} ", f" {_RELEASE} ") for line in sources),
            ],
            step="installing Debian 13",
        )
        (root / "etc/cloud/cloud.cfg").write_text(_CLOUD)
        (root / "etc/machine-id").write_text("")
        await builds.run(
            ["chroot", str(root), "systemctl", "enable", "systemd-networkd", "systemd-resolved"], step="enabling units"
        )
        root.rename(kept)
    return kept


async def _nspawn() -> Path:
    return await package("systemd-container") / "usr/bin/systemd-nspawn"


@contextlib.contextmanager
def _overlay(system: Path, folder: Path) -> Generator[Path]:
    """Give a system that may be written to."""
    parts = {part: folder / part for part in ("upper", "work", "root")}
    for part in parts.values():
        part.mkdir()
    options = f"lowerdir={system},upperdir={parts['upper']},workdir={parts['work']}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(parts["root"])], check=True)
    try:
        yield parts["root"]
    finally:
        subprocess.run(["umount", "--lazy", str(parts["root"])], check=True)
        shutil.rmtree(parts["work"], ignore_errors=True)


@contextlib.contextmanager
def _network(name: str, searches: str, folder: Path) -> Generator[None]:
    """Make the guest's namespace with its two cards, and another one in which somebody answers DHCP at the first."""
    beyond = f"{name}-d"
    script = f"""
        set -e
        ip netns add {name}
        ip netns add {beyond}
        ip -n {name} link add eth0 address {MACS[0]} type veth peer name d0 netns {beyond}
        ip -n {name} link add eth1 address {MACS[1]} type veth peer name d1 netns {beyond}
        ip -n {beyond} link set d0 up
        ip -n {beyond} link set d1 up
        ip -n {beyond} address add 10.42.0.1/24 dev d0
    """
    try:
        subprocess.run(["sh", "-c", script], check=True)
        command = ["ip", "netns", "exec", beyond, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0"]
        command += ["--interface=d0", "--bind-interfaces", "--dhcp-range=10.42.0.10,10.42.0.20,10m", "--no-hosts"]
        command += [f"--dhcp-option=119,{searches}", "--dhcp-option=6,10.42.0.53", "--user=root", "--no-resolv"]
        command += [f"--dhcp-leasefile={folder / 'leases'}", "--pid-file="]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as dnsmasq:
            try:
                yield
            finally:
                dnsmasq.terminate()
    finally:
        for one in (name, beyond):
            if os.path.exists(f"/run/netns/{one}"):
                subprocess.run(["ip", "netns", "delete", one], check=True)
