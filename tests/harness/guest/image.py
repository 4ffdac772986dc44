"""The tests' image: the product's tiny one, with an initial RAM disk appended that adds the agent to it."""

from __future__ import annotations

import asyncio
import dataclasses
import fcntl
import functools
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from virtualserver.storage.builds import BuiltImage, busybox, cpio

__all__ = ["CACHE", "agent", "build"]

CACHE = Path(os.environ.get("VS_TEST_CACHE", "/var/cache/virtualserver-dev/guest"))
"""Where what takes long to make is kept between runs, under names of its content."""

_SOURCE = Path(__file__).with_name("agent.c")
_INITTAB = """\
::sysinit:/etc/rc
::sysinit:/bin/dmesg -n 1
::once:/bin/agent serve tcp 22 talk
ttyS0::respawn:/bin/agent console /dev/ttyS0
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/sync
"""


@functools.cache
def build(cache: Path = CACHE) -> BuiltImage:
    """Return the image, made if the cache has none of the same inputs; the guest answers on TCP 22 once it is up."""
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        # Of the processes that run tests side by side, the first one builds.
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = asyncio.run(busybox.build(cache, progress=lambda _step, _done: None))
    assert base.initrd is not None
    overlay = cpio.archive(
        {"bin/agent": cpio.file(agent(cache).read_bytes(), mode=0o755), "etc/inittab": cpio.file(_INITTAB)}
    )
    whole = base.initrd.read_bytes() + overlay
    initrd = cache / f"initrd-{hashlib.sha256(whole).hexdigest()[:16]}"
    _keep(initrd, whole, 0o644)
    # The kernel's self-tests of ciphers take an eighth of a boot.
    command_line = f"{base.command_line} cryptomgr.notests"
    return dataclasses.replace(
        base, initrd=initrd, command_line=command_line, name="test-guest", description="The tests' guest"
    )


def agent(cache: Path = CACHE) -> Path:
    """Return the agent's program, compiled if the cache has none of the same source."""
    program = cache / f"agent-{hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]}"
    if not program.exists():
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, "agent")
            flags = ["-O2", "-s", "-static", "-Wall", "-Wextra", "-Wno-unused-result", "-o", str(made)]
            done = subprocess.run(["gcc", *flags, str(_SOURCE)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            _keep(program, made.read_bytes(), 0o755)
    return program


def _keep(path: Path, content: bytes, mode: int) -> None:
    """Write a file under its final name in one step, since several test runs may share the cache."""
    if not path.exists():
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        Path(file.name).rename(path)
