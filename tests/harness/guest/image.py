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
from typing import TYPE_CHECKING
from unittest import mock

from virtualserver.storage.builds import BuiltImage, busybox, cpio, kernel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

__all__ = ["CACHE", "SSH_PORT", "agent", "build", "build_router", "build_ssh_server", "package"]

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

SSH_PORT = 2222
"""Where an ssh server answers in the guest that has one: the agent has 22."""

_SSH_PACKAGES = ("dropbear-bin", "openssh-sftp-server", "libtomcrypt1", "libtommath1")
_SSH_PROGRAMS = ("usr/sbin/dropbear", "usr/lib/sftp-server")

_ROUTER_MODULES = ("nf_tables", "nft_chain_nat", "nft_masq", "nft_nat", "nft_ct", "nf_conntrack", "nf_nat")
_ROUTER_START = """\
#!/bin/sh
while read -r module; do insmod "/lib/modules/router/$module"; done </lib/modules/router/order
exec /etc/rc
"""


@functools.cache
def build_router(cache: Path = CACHE) -> BuiltImage:
    """Return the image with the host's ``nft`` besides, and what the kernel needs for it: one that can masquerade."""
    nft = shutil.which("nft")
    assert nft is not None
    files = {path.lstrip("/"): _program(Path(path)) for path in (nft, *_libraries(Path(nft)))}
    files["etc/start-router"] = cpio.file(_ROUTER_START, mode=0o755)
    files["etc/inittab"] = cpio.file(_INITTAB.replace("::sysinit:/etc/rc", "::sysinit:/etc/start-router"))
    return _with(cache, "test-router", files, _modules(cache))


@functools.cache
def build_ssh_server(cache: Path = CACHE) -> BuiltImage:
    """Return the image with an ssh server besides, which lets in root with the keys of ``/root/.ssh``."""
    files = {
        "etc/passwd": cpio.file("root:x:0:0:root:/root:/bin/sh\n"),
        "etc/dropbear": cpio.directory(),
        "etc/inittab": cpio.file(f"{_INITTAB}::respawn:/usr/sbin/dropbear -R -F -s -p {SSH_PORT}\n"),
    }
    return _with(cache, "test-ssh-server", files, _ssh_server(cache))


def _with(
    cache: Path, name: str, files: dict[str, cpio.Member], kept: Coroutine[None, None, dict[str, cpio.Member]]
) -> BuiltImage:
    """Return the image with these files besides, and with those that are kept in the cache."""
    image = build(cache)
    assert image.initrd is not None
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        files = {**files, **asyncio.run(kept)}
    whole = image.initrd.read_bytes() + cpio.archive(files)
    initrd = cache / f"initrd-{hashlib.sha256(whole).hexdigest()[:16]}"
    _keep(initrd, whole, 0o644)
    return dataclasses.replace(image, initrd=initrd, name=name)


def _program(path: Path) -> cpio.Member:
    return cpio.file(path.read_bytes(), mode=0o755)


def _libraries(program: Path, *folders: Path) -> list[str]:
    """Return the paths of the libraries that a program needs, looked for in these folders first."""
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, folders))}
    listed = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True, env=environment).stdout
    return re.findall(r"(/\S+) \(0x", listed)


async def _ssh_server(cache: Path) -> dict[str, cpio.Member]:
    """Return the programs of an ssh server, whose packages are kept in the cache, and the libraries that they need."""
    hashes = [await _package_hash(cache, package) for package in _SSH_PACKAGES]
    kept = cache / f"ssh-{hashlib.sha256(''.join(hashes).encode()).hexdigest()[:16]}"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            await kernel.download(Path(folder), list(_SSH_PACKAGES), lambda _step, _done: None)
            Path(folder, "root").rename(kept)
    programs = [kept / name for name in _SSH_PROGRAMS]
    libraries = {path for program in programs for path in _libraries(program, kept / "usr/lib/x86_64-linux-gnu")}
    files = {str(program.relative_to(kept)): _program(program) for program in programs}
    return files | {path.removeprefix(str(kept)).lstrip("/"): _program(Path(path)) for path in libraries}


async def package(name: str, cache: Path = CACHE) -> Path:
    """Return the folder of what a package installs, kept in the cache, whose lock is held, by the package's hash."""
    kept = cache / f"{name}-{await _package_hash(cache, name)}"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            await kernel.download(Path(folder), [name], lambda _step, _done: None)
            Path(folder, "root").rename(kept)
    return kept


async def _modules(cache: Path) -> dict[str, cpio.Member]:
    """Return the modules of the kernel that the image boots, kept in the cache by the kernel's package."""
    package = await _kernel_package(cache)
    kept = cache / f"router-{await _package_hash(cache, package)}"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            await kernel.download(Path(folder), [package], lambda _step, _done: None)
            found = kernel.ordered_modules(kernel.unpacked(Path(folder), "lib/modules"), _ROUTER_MODULES)
            made = Path(folder, "made")
            made.mkdir()
            for name, content in found.items():
                (made / name).write_bytes(content)
            (made / "order").write_text("".join(f"{name}\n" for name in found))
            made.rename(kept)
    return {f"lib/modules/router/{path.name}": cpio.file(path.read_bytes()) for path in kept.iterdir()}


@functools.cache
def build(cache: Path = CACHE) -> BuiltImage:
    """Return the image, made if the cache has none of the same inputs; the guest answers on TCP 22 once it is up."""
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        # Of the processes that run tests side by side, the first one builds.
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (
            mock.patch.object(kernel, "kernel_package", functools.partial(_kernel_package, cache)),
            mock.patch.object(kernel, "package_hash", functools.partial(_package_hash, cache)),
        ):
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


_ask_kernel_package, _ask_package_hash = kernel.kernel_package, kernel.package_hash


async def _kernel_package(cache: Path) -> str:
    return await _asked(cache, "kernel", _ask_kernel_package)


async def _package_hash(cache: Path, package: str) -> str:
    return await _asked(cache, package, functools.partial(_ask_package_hash, package))


async def _asked(cache: Path, question: str, ask: Callable[[], Awaitable[str]]) -> str:
    """Return what apt knows, kept as long as its lists stay: without an index it reads them each time, for a second."""
    lists = (path.stat() for path in sorted(Path("/var/lib/apt/lists").glob("*_Packages*")))
    known = hashlib.sha256(repr([(one.st_size, one.st_mtime_ns) for one in lists]).encode()).hexdigest()[:16]
    kept = cache / f"apt-{known}-{question}"
    if not kept.exists():
        _keep(kept, (await ask()).encode(), 0o644)
    return kept.read_text()


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
