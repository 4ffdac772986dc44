"""The tests' image: the product's tiny one, with an initial RAM disk appended that adds the agent to it."""

from __future__ import annotations

import asyncio
import dataclasses
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from virtualserver.storage.builds import BuiltImage, busybox, cpio, kernel

__all__ = ["CACHE", "agent", "build", "build_router"]

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


_ROUTER_MODULES = ("nf_tables", "nft_chain_nat", "nft_masq", "nft_nat", "nft_ct", "nf_conntrack", "nf_nat")
_ROUTER_START = """\
#!/bin/sh
while read -r module; do insmod "/lib/modules/router/$module"; done </lib/modules/router/order
exec /etc/rc
"""


@functools.cache
def build_router(cache: Path = CACHE) -> BuiltImage:
    """Return the image with the host's ``nft`` besides, and what the kernel needs for it: one that can masquerade."""
    image = build(cache)
    assert image.initrd is not None
    files = {path.lstrip("/"): cpio.file(Path(path).read_bytes(), mode=0o755) for path in _programs("nft")}
    files["etc/start-router"] = cpio.file(_ROUTER_START, mode=0o755)
    files["etc/inittab"] = cpio.file(_INITTAB.replace("::sysinit:/etc/rc", "::sysinit:/etc/start-router"))
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        files |= asyncio.run(_modules(cache))
    whole = image.initrd.read_bytes() + cpio.archive(files)
    initrd = cache / f"initrd-{hashlib.sha256(whole).hexdigest()[:16]}"
    _keep(initrd, whole, 0o644)
    return dataclasses.replace(image, initrd=initrd, name="test-router")


def _programs(name: str) -> list[str]:
    """Return a program's path, and those of the libraries that it needs."""
    path = shutil.which(name)
    assert path is not None
    listed = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    return [path, *re.findall(r"(/\S+) \(0x", listed)]


async def _modules(cache: Path) -> dict[str, cpio.Member]:
    """Return the modules of the kernel that the image boots, kept in the cache by the kernel's package."""
    package = await kernel.kernel_package()
    kept = cache / f"router-{await kernel.package_hash(package)}"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            await kernel.download(Path(folder), [package], lambda _step, _done: None)
            found = kernel.ordered_modules(Path(folder, "root/lib/modules"), _ROUTER_MODULES)
            made = Path(folder, "made")
            made.mkdir()
            for module in found:
                shutil.copyfile(module, made / module.name)
            (made / "order").write_text("".join(f"{module.name}\n" for module in found))
            made.rename(kept)
    return {f"lib/modules/router/{path.name}": cpio.file(path.read_bytes()) for path in kept.iterdir()}


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
