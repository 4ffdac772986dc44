"""The Debian image: built, interrupted, and booted until its owner is in."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guest import image as guest_image
from guest import wire
from guest.machines import Bench, a_bench
from guest.wire import Wire, a_wire
from virtualserver.node import imagebuild
from virtualserver.node.disks import DiskStore
from virtualserver.node.hypervisor import Disk, Kernel, Nic
from virtualserver.node.imagebuild import BuiltImage, debian
from virtualserver.node.machine import Ended, EndReason
from virtualserver.node.seed import write_seed

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="installing a system into a folder needs root"),
    pytest.mark.timeout(1200),
]

USER = 64_006


def quiet(_step: str, _done: float | None) -> None:
    """Tell nobody."""


def traces_of(folder: Path) -> list[str]:
    """Return the processes and mounts that have to do with a folder."""
    processes = subprocess.run(["ps", "-e", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/self/mounts").read_text()
    return [line for line in (processes + mounts).splitlines() if str(folder) in line]


async def installing(folder: Path) -> None:
    """Wait until a build in a folder is in the midst of its installation."""
    async with asyncio.timeout(120):
        while not (folder / ".building" / "system" / "usr" / "bin").exists():
            await asyncio.sleep(0.1)


@pytest.fixture
def workdir() -> Generator[Path, None, None]:
    folder = Path(tempfile.mkdtemp(prefix="vsm-debian-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def test_a_cancelled_build_leaves_nothing(workdir: Path) -> None:
    steps: list[str] = []
    task = asyncio.create_task(debian.build(workdir, progress=lambda step, _done: steps.append(step)))
    await installing(workdir)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [path.name for path in workdir.iterdir()] == [".lock"]
    assert traces_of(workdir) == []
    assert any("installing" in step for step in steps)


async def test_a_killed_build_ends_and_the_next_one_clears_up(workdir: Path) -> None:
    script = (
        "import asyncio, pathlib, sys; from virtualserver.node.imagebuild import debian;"
        "asyncio.run(debian.build(pathlib.Path(sys.argv[1]), progress=print))"
    )
    builder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(workdir)), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await installing(workdir)
    finally:
        builder.kill()
        await builder.wait()
    async with asyncio.timeout(60):
        while traces_of(workdir):
            await asyncio.sleep(0.2)
    async with imagebuild.workspace(workdir) as temporary:
        assert list(temporary.iterdir()) == []
    assert [path.name for path in workdir.iterdir()] == [".lock"]


async def an_image() -> BuiltImage:
    """Return the Debian image, built unless the tests' cache has one of the same sources."""
    sources = resources.files(imagebuild)
    names = ("debian.py", "debian.init", "debian.cloud.cfg", "kernel.py", "cpio.py", "__init__.py")
    content = b"".join(sources.joinpath(name).read_bytes() for name in names)
    cached = guest_image.CACHE / f"debian-{hashlib.sha256(content).hexdigest()[:16]}"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent, prefix=".debian-") as folder:
            built = await debian.build(Path(folder), progress=quiet)
            with contextlib.suppress(OSError):  # Another run may have been faster.
                built.disk.parent.rename(cached)
    return BuiltImage(cached / "disk.qcow2", cached / "kernel", cached / "initrd", debian.COMMAND_LINE, "debian", "")


@dataclasses.dataclass
class Server:
    """A Debian guest whose owner has a key to it."""

    cable: Wire
    key: Path

    def ssh(self, command: str, *, user: str = "owner") -> subprocess.CompletedProcess[str]:
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
        line = ["ssh", "-i", str(self.key), *(part for option in options for part in ("-o", option))]
        return self.cable.run(*line, "-o", "ConnectTimeout=10", f"{user}@{wire.ADDRESS}", command, timeout=60)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    return tmp_path / "key"


async def test_a_server_lets_its_owner_in_and_nobody_else(key: Path) -> None:
    image = await an_image()
    user_data = f"""#cloud-config
users:
- name: owner
  ssh_authorized_keys: ['{key.with_suffix(".pub").read_text().strip()}']
  sudo: ['ALL=(ALL) NOPASSWD:ALL']
  shell: /bin/bash
write_files:
- {{path: /var/www/index.html, content: "<h1>Hello</h1>"}}
runcmd:
- [busybox, httpd, -p, '80', -h, /var/www]
"""
    async with a_bench(image) as bench:
        with a_wire() as cable:
            await boot_and_look(bench, image, Server(cable, key), user_data)


async def boot_and_look(bench: Bench, image: BuiltImage, server: Server, user_data: str) -> None:
    base = bench.folder / "base.qcow2"
    shutil.copyfile(image.disk, base)
    base.chmod(0o444)
    root = DiskStore(bench.folder / "d").create("root", base=base, size_bytes=5 << 30, user=USER)
    seed = bench.folder / "seed.iso"
    meta_data = "instance-id: i-1\nlocal-hostname: hello\n"
    write_seed(seed, user_data=user_data, meta_data=meta_data, network_config=None, user=USER)
    assert image.kernel is not None
    spec = bench.spec(
        cpus=2,
        memory_bytes=1 << 30,
        user=USER,
        disks=(Disk(path=root, format="qcow2", name="root"),),
        nics=(Nic("tap0", wire.MAC),),
        seed=seed,
        kernel=Kernel(image.kernel, image.initrd, image.command_line),
    )
    machine = await bench.hypervisor.launch(spec, open_tap=server.cable.open_tap)

    async def seen(command: str) -> str:
        done = await asyncio.to_thread(server.ssh, command)
        assert done.returncode == 0, f"{command}: {done.stderr}{done.stdout}"
        return done.stdout.strip()

    async with asyncio.timeout(400):
        while (await asyncio.to_thread(server.ssh, "true")).returncode:
            await asyncio.sleep(1)
    assert await seen("cloud-init status --wait | tail -1") == "status: done"
    assert await seen("hostname") == "hello"
    assert await seen("getent hosts hello") != ""
    assert await seen("systemctl is-enabled apt-daily.timer || true") == "masked"
    assert await seen("systemctl --failed --plain --no-legend") == ""
    assert int(await seen("df --output=size -B1 / | tail -1")) > 4 << 30
    assert await seen("cd /etc/ssh && echo ssh_host_*_key") == "ssh_host_ed25519_key"
    assert await seen("sudo cut -d: -f2 /etc/shadow | grep -v '^[!*]' | wc -l") == "0"
    assert f"nameserver {wire.GATEWAY}" in await seen("cat /etc/resolv.conf")
    assert await seen("python3 -c \"import urllib.request as u; print(u.urlopen('http://localhost').read().decode())\"")
    assert (await asyncio.to_thread(server.ssh, "true", user="root")).returncode == 255
    assert (await asyncio.to_thread(server.ssh, "true", user="debian")).returncode == 255
    assert await machine.power_down()
    async with asyncio.timeout(120):
        end = [state async for state in machine.changes()][-1]
    assert isinstance(end, Ended) and end.reason is EndReason.GUEST_SHUTDOWN
