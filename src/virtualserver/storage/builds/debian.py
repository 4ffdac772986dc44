"""Makes a cloud image from Debian's packages, through the machine's own apt: no image server, no boot loader.

The kernel and a small initial RAM disk lie beside the disk and are booted directly, so that nothing has to be mounted
to make the image and the guest starts sooner. The guest is told who it is by cloud-init (NoCloud), takes its network by
DHCP (`debian_network`), makes its own ssh host key, and grows its file system with its disk. It has no password.
What cloud-init and systemd do by default and a guest here does not need is left out: without KVM it takes most of the
start. Source: measured on Debian 12, ``docs/guests.md``.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from virtualserver.storage import builds, qemu_img
from virtualserver.storage.builds import BuiltImage, ImageBuildError, cpio, debian_network, kernel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from virtualserver.host.progress import Update
    from virtualserver.storage.builds.debian_network import ImageNetwork

__all__ = [
    "DISK_BYTES",
    "PACKAGES",
    "PROGRAMS",
    "apt_options",
    "build",
    "command_line",
    "counting",
    "modules",
    "sources_from",
    "with_remedy",
]

_COMMAND_LINE: Final = "root=/dev/vda ro console=tty0 console=ttyS0 quiet no_timer_check"
"""What the kernel is told: messages and a login go to the serial console."""

DISK_BYTES: Final = 2 << 30
"""How large the disk is; a server's own is at least as large, and its file system grows with it."""

PACKAGES: Final = (
    *("systemd-sysv", "udev", "dbus", "kmod", "systemd-timesyncd", "e2fsprogs", "ca-certificates"),
    *("locales", "mount", "tzdata"),
    *("cloud-init", "openssh-server", "sudo", "passwd", "login"),
    *("iproute2", "iputils-ping", "netbase", "nftables"),
    *("procps", "less", "nano", "busybox"),
)
"""What the image has beside Debian's essential packages and its network's; busybox has a small web server."""

PROGRAMS = {
    **kernel.PROGRAMS,
    "apt-config": "apt",
    "chroot": "coreutils",
    "mkfs.ext4": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
"""What the build runs, and the Debian packages that have it."""
_COUNT_SECONDS: Final = 1.0
_INITRD_MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic", "crc32c_intel")
_MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "e2scrub_reap.service"),
    "cloud-init-hotplugd.socket",
)
"""Units that cost time at each start and do nothing that a guest here needs."""

LOCALE_GEN: Final = """\
#!/bin/sh
# cloud-init names the locale that it wants, and Debian's program makes those of its list only.
for locale in "$@"; do
  sed -i "s/^# *\\($locale\\( .*\\)\\?\\)$/\\1/" /etc/locale.gen
done
exec /usr/sbin/locale-gen
"""
"""Makes a locale that `cloudInit` asks for, at the first start: all of them would fill the image."""

_FILES = {
    "etc/fstab": "/dev/vda / ext4 errors=remount-ro,discard 0 1\n",
    "etc/hostname": "debian\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "usr/local/sbin/locale-gen": LOCALE_GEN,
    "etc/machine-id": "",
}
_REMOVED = (
    "etc/resolv.conf",
    "var/lib/dbus/machine-id",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
)
_UNPACKED_ONLY = ("usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*")


async def build(workdir: Path, *, release: str | None = None, progress: Update) -> BuiltImage:
    """Build the image; it takes about two minutes and 3 GB of disk for the time being.

    Args:
        workdir: Where the image is left, and nothing else: whoever asked removes it once the image is in a store.
        release: The name of its Debian release; None: that of this machine.
        progress: Told each step.

    Raises:
        ImageBuildError: A program is missing, or a step failed. Nothing half-built stays, nor after a cancellation.
    """
    builds.require_programs(PROGRAMS)
    finished = workdir / "debian"
    async with builds.workspace(workdir) as temporary:
        root = temporary / "system"
        progress("looking up the machine's apt sources", 0.0)
        release = release or codename()
        network = debian_network.of_release(release)
        await _install(root, release, network, progress)
        progress("downloading the kernel", 0.7)
        # Of the system's own release: by its package lists, with this machine's keys and proxies.
        lists = (f"Dir={root}",)
        package = await kernel.kernel_package(lists)
        await kernel.download(temporary, [package, "busybox-static"], lambda _step, _done: None, settings=lists)
        made = temporary / "made"
        made.mkdir(mode=0o755)
        await kernel.unpack_kernel(temporary, made / "kernel")
        await asyncio.to_thread((made / "initrd").write_bytes, await asyncio.to_thread(_initrd, temporary))
        progress("setting the system up", 0.78)
        await _set_up(root, network, kernel.unpacked(temporary, "lib/modules"))
        progress("writing the disk", 0.85)
        await _write_disk(root, temporary / "disk.raw", made / "disk.qcow2")
        await asyncio.to_thread(shutil.rmtree, finished, ignore_errors=True)
        made.rename(finished)
        progress("the image is made", 1.0)
    return BuiltImage(
        disk=finished / "disk.qcow2",
        kernel=finished / "kernel",
        initrd=finished / "initrd",
        command_line=command_line(release),
        name="debian",
        description=f"Debian {release.capitalize()} with cloud-init and ssh, no password",
        modules=modules(),
    )


def command_line(release: str) -> str:
    """Return what the kernel of an image of that release is told."""
    return f"{_COMMAND_LINE} {debian_network.of_release(release).command_line}".strip()


def modules() -> tuple[str, ...]:
    """Return the modules of cloud-init that guests of the image run."""
    cloud = yaml.safe_load(_cloud_configuration())
    return tuple(name for stage in ("init", "config", "final") for name in cloud[f"cloud_{stage}_modules"])


def _cloud_configuration() -> str:
    return resources.files(builds).joinpath("debian.cloud.cfg").read_text()


def codename() -> str:
    """Return the name of this machine's Debian release, which the image has too where nobody names another."""
    text = Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=\"?([a-z]+)", text, re.MULTILINE)
    if not found or not re.search(r"^ID=\"?debian", text, re.MULTILINE):
        raise ImageBuildError("a Debian image is made from the packages of the machine's own Debian, and this is none")
    return found[1]


def sources_from(targets: str, release: str | None = None) -> list[str]:
    """Return the lines of an apt source list for what comes from Debian; other archives are no part of the image.

    Args:
        targets: Lines ``URI|release|component|origin``, as ``apt-get indextargets`` prints them.
        release: The release that the same archives are asked for, its updates and security too; None: as they are.
    """
    lines: dict[tuple[str, str], dict[str, None]] = {}
    for line in targets.splitlines():
        uri, suite, component, origin = line.split("|")
        if release is not None:
            _, dash, rest = suite.partition("-")
            suite = f"{release}{dash}{rest}"
        if origin == "Debian":
            lines.setdefault((uri, suite), {})[component] = None
    return [f"deb {uri} {suite} {' '.join(parts)}" for (uri, suite), parts in lines.items()]


def apt_options(dump: str) -> list[str]:
    """Return the machine's ways to its archives, such as a proxy, as options for mmdebstrap.

    Args:
        dump: What ``apt-config dump`` prints.
    """
    wanted = re.compile(r"Acquire::(https?::|Check-|Retries|ForceIPv|Languages)")
    return [f"--aptopt={line}" for line in dump.splitlines() if wanted.match(line) and not line.endswith(' "";')]


async def _install(root: Path, release: str, network: ImageNetwork, progress: Update) -> None:
    """Install the packages of a release into a folder; apt's lists stay in it."""
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
    targets = await builds.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"], step="reading the apt sources"
    )
    sources = sources_from(targets.decode(), None if release == codename() else release)
    if not sources:
        raise ImageBuildError("the machine's apt sources have nothing from Debian; run `apt-get update` and try again")
    options = apt_options((await builds.run(["apt-config", "dump"], step="reading apt's settings")).decode())
    packages = (*PACKAGES, *network.packages)
    # A mount namespace of its own: what mmdebstrap mounts is gone with it, however it ends.
    command = [
        *("unshare", "--mount", "--propagation", "private"),
        *("mmdebstrap", "--mode=root", "--variant=apt", "--format=directory"),
        *("--skip=output/dev", "--skip=cleanup/apt/lists"),
        *options,
        *("--aptopt=Apt::Install-Recommends false", "--dpkgopt=force-unsafe-io"),
        *(f"--dpkgopt=path-exclude=/{path}" for path in _UNPACKED_ONLY),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--dpkgopt=path-include=/usr/share/locale/locale.alias",
        f"--include={','.join(packages)}",
        *(release, str(root)),
        *sources,
    ]
    step = f"downloading and installing {len(packages)} packages and what they need"
    try:
        async with counting(root, lambda count: progress(f"{step}: {count} are unpacked", 0.03)):
            await builds.run(command, step="installing Debian's packages")
    except ImageBuildError as error:
        raise with_remedy(error, release) from error


@contextlib.asynccontextmanager
async def counting(root: Path, tell: Callable[[int], None]) -> AsyncGenerator[None]:
    """Tell at once and every second how many packages a system has; nobody knows before how many it will be."""

    async def count() -> None:
        while True:
            tell(await asyncio.to_thread(lambda: len(list(root.glob("var/lib/dpkg/info/*.list")))))
            await asyncio.sleep(_COUNT_SECONDS)

    task = asyncio.ensure_future(count())
    try:
        yield
    finally:
        task.cancel()


def with_remedy(error: ImageBuildError, release: str) -> ImageBuildError:
    """Return an error of the installation, with what to do where this machine cannot trust the release."""
    if "NO_PUBKEY" not in str(error):
        return error
    return ImageBuildError(
        f"this machine has no keys of Debian {release}, so that it cannot tell whose packages it gets; the newest "
        f"debian-archive-keyring has them: apt-get update && apt-get install debian-archive-keyring ({error})"
    )


async def _set_up(root: Path, network: ImageNetwork, modules: Path) -> None:
    """Make an installed system one that every server can start from."""
    release = await asyncio.to_thread(_write_files, root, network, modules)
    await builds.run(["chroot", str(root), "depmod", release], step="listing the kernel's modules")
    await builds.run(["chroot", str(root), "systemctl", "--quiet", "enable", *network.enabled], step="enabling units")


def _write_files(root: Path, network: ImageNetwork, modules: Path) -> str:
    """Write and remove files of the system, and return the kernel's release."""
    for name in _REMOVED:
        (root / name).unlink(missing_ok=True)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name, content in {**_FILES, **network.files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
        (root / name).chmod(0o755 if "sbin" in name else 0o644)
    if network.resolver:
        (root / "etc/resolv.conf").symlink_to(network.resolver)
    for name in (*_MASKED, *network.masked):
        # As `systemctl mask` does it; the machine that builds may have no systemd.
        (root / "etc/systemd/system" / name).symlink_to("/dev/null")
    (root / "etc/cloud/cloud.cfg").write_text(_cloud_configuration())
    for folder in ("var/cache/apt", "var/lib/apt/lists", "var/log"):
        for path in (root / folder).rglob("*"):
            if path.is_file():
                path.unlink()
    release = next(modules.iterdir())
    shutil.copytree(release, root / "usr/lib/modules" / release.name)
    return release.name


async def _write_disk(root: Path, raw: Path, target: Path) -> None:
    """Write the system to a disk without partitions; nothing is mounted."""
    await builds.run(
        [
            *("mkfs.ext4", "-q", "-F", "-L", "root", "-m", "1", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
            *("-d", str(root), str(raw), f"{DISK_BYTES >> 10}k"),
        ],
        step="writing the file system",
    )
    await builds.run(qemu_img.convert(raw, target), step="packing the disk")


def _initrd(folder: Path) -> bytes:
    """Pack what finds the root disk."""
    modules = kernel.ordered_modules(kernel.unpacked(folder, "lib/modules"), _INITRD_MODULES)
    return cpio.archive(
        {
            "init": cpio.file(resources.files(builds).joinpath("debian.init").read_bytes(), mode=0o755),
            "bin/busybox": cpio.file(kernel.unpacked(folder, "bin/busybox").read_bytes(), mode=0o755),
            "lib/modules/order": cpio.file("".join(f"{name}\n" for name in modules)),
            **{f"lib/modules/{name}": cpio.file(content) for name, content in modules.items()},
            **{path: cpio.directory() for path in ("dev", "root")},
        }
    )
