"""Finds out whether the processor's virtualisation can be used, by using it.

That ``/dev/kvm`` exists, or that QEMU accepts it, says too little: on some nested hosts the first real instructions of
a guest hang. So a guest of one boot sector runs with as few rights as machines have, and has to come back in time.
Source: measured, ``docs/guests.md``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final, Literal

from virtualserver.host.files import write_atomically
from virtualserver.host.process import boot_id
from virtualserver.machines.hypervisor import EMULATOR, kvm_group
from virtualserver.machines.launch import environment

__all__ = ["Accelerator", "probe"]

_CACHE_VERSION: Final = 1
_NOBODY: Final = 65534
_SUCCESS: Final = 99
# mov al, 0x31; out 0xf4, al; hlt; jmp back to hlt: QEMU's debug exit device ends with status 2 * 0x31 + 1.
_BOOT_SECTOR: Final = bytes.fromhex("b031e6f4faf4ebfd").ljust(510, b"\0") + b"\x55\xaa"


@dataclasses.dataclass(frozen=True, slots=True)
class Accelerator:
    """How guests run here.

    Attributes:
        name: ``kvm``: at the processor's speed; ``tcg``: translated, about 20 times slower.
        reason: Why, for people: one sentence without a full stop.
    """

    name: Literal["kvm", "tcg"]
    reason: str


async def probe(*, limit_seconds: float = 2.0, cache: Path | None = None) -> Accelerator:
    """Return ``kvm`` if a guest really ran with it, else ``tcg`` with the reason.

    Args:
        limit_seconds: How long the guest may take; it needs a tenth of a second.
        cache: A file that keeps the answer until the host is started again; None: try each time.
    """
    boot = boot_id()
    known = _cached(cache, boot) if cache is not None else None
    if known is not None:
        return known
    found = await _try(limit_seconds)
    if cache is not None:
        content = {"formatVersion": _CACHE_VERSION, "boot": boot, "name": found.name, "reason": found.reason}
        write_atomically(cache, json.dumps(content), mode=0o644)
    return found


def _cached(cache: Path, boot: str) -> Accelerator | None:
    """Return the answer of this boot, if there is one."""
    try:
        content = json.loads(cache.read_bytes())
        if (content["formatVersion"], content["boot"]) == (_CACHE_VERSION, boot):
            return Accelerator(content["name"], content["reason"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    return None


def _obstacle() -> str | None:
    """Return why KVM need not even be tried; None where it has to be."""
    if shutil.which(EMULATOR) is None:
        return f"{EMULATOR} is not on PATH, so that KVM could not be tried"
    device = Path("/dev/kvm")
    if not device.exists():
        return "this machine has no /dev/kvm"
    if kvm_group() is None and device.stat().st_mode & 0o006 != 0o006:
        return "/dev/kvm is for root alone, and QEMU does not run as root: `chgrp kvm /dev/kvm && chmod 660 /dev/kvm`"
    return None


async def _try(limit_seconds: float) -> Accelerator:
    """Try KVM, having ruled out what is plain without a guest."""
    obstacle = _obstacle()
    if obstacle is not None:
        return Accelerator("tcg", obstacle)
    status = await run_boot_sector("kvm", limit_seconds=limit_seconds, group=kvm_group())
    if status == _SUCCESS:
        return Accelerator("kvm", "a guest ran with KVM")
    if status is None:
        return Accelerator("tcg", f"/dev/kvm is there, but a guest did not come back within {limit_seconds:g} s")
    return Accelerator("tcg", f"/dev/kvm is there, but QEMU cannot use it (status {status})")


async def run_boot_sector(accelerator: str, *, limit_seconds: float, group: int | None = None) -> int | None:
    """Run the guest of one boot sector as nobody, and return QEMU's exit status: 99 means that it ran.

    Args:
        accelerator: As QEMU calls it.
        limit_seconds: After that it is killed.
        group: A supplementary group; None: none.

    Returns:
        The status; None where the guest did not end in time.
    """
    with tempfile.TemporaryDirectory(prefix="vs-probe-") as folder:
        floppy = _floppy(Path(folder))
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--reuid", str(_NOBODY), "--regid", str(_NOBODY)),
            *(("--clear-groups",) if group is None else ("--groups", str(group))),
            *("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"),
            *(EMULATOR, "-machine", "pc", "-accel", accelerator, "-m", "16M", "-nodefaults", "-no-user-config"),
            *("-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"),
            *("-drive", f"if=floppy,format=raw,readonly=on,file={floppy}", "-boot", "a"),
            env=environment(os.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(limit_seconds):
                return await process.wait()
        except TimeoutError:
            return None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _floppy(folder: Path) -> Path:
    """Write the boot sector to a floppy that everybody may read."""
    floppy = folder / "floppy"
    floppy.write_bytes(_BOOT_SECTOR.ljust(1440 << 10, b"\0"))
    floppy.chmod(0o444)
    folder.chmod(0o755)
    return floppy
