"""Finds out whether the processor's virtualisation can be used, by using it.

That ``/dev/kvm`` exists, or that QEMU accepts it, says too little: on some nested hosts the first real instructions of
a guest hang. So a guest of one boot sector runs with as few rights as machines have, and has to come back in time.
Source: measured, ``docs/guests.md``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import grp
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final, Literal

from virtualserver.host.files import write_atomically
from virtualserver.host.process import boot_id
from virtualserver.machines.hypervisor import EMULATOR, kvm_group
from virtualserver.machines.launch import environment

__all__ = ["Accelerator", "AcceleratorName", "probe"]

_CACHE_VERSION: Final = 2
_DEVICE: Final = Path("/dev/kvm")
_GROUP: Final = "kvm"
_NOBODY: Final = 65534
_SUCCESS: Final = 99
# mov al, 0x31; out 0xf4, al; hlt; jmp back to hlt: QEMU's debug exit device ends with status 2 * 0x31 + 1.
_BOOT_SECTOR: Final = bytes.fromhex("b031e6f4faf4ebfd").ljust(510, b"\0") + b"\x55\xaa"


AcceleratorName = Literal["kvm", "tcg"]


@dataclasses.dataclass(frozen=True, slots=True)
class Accelerator:
    """How guests run here.

    Attributes:
        name: ``kvm``: at the processor's speed; ``tcg``: translated, about 20 times slower.
        reason: Why, for people: one sentence without a full stop.
    """

    name: AcceleratorName
    reason: str


async def probe(*, limit_seconds: float = 2.0, cache: Path | None = None) -> Accelerator:
    """Return ``kvm`` if a guest really ran with it, else ``tcg`` with the reason.

    Args:
        limit_seconds: How long the guest may take; it needs a tenth of a second.
        cache: A file that keeps the answer until the host is started again, or ``/dev/kvm`` or QEMU become others;
            None: try each time.
    """
    about = {"formatVersion": _CACHE_VERSION, "boot": boot_id(), "tried": _tried()}
    known = _cached(cache, about) if cache is not None else None
    if known is not None:
        return known
    found = await _try(limit_seconds, cache.parent if cache is not None else None)
    if cache is not None:
        content = {**about, "name": found.name, "reason": found.reason}
        write_atomically(cache, json.dumps(content), mode=0o644)
    return found


def _tried() -> list[Any]:
    """Return what an answer was found with: what QEMU it is, and who may use which device."""
    try:
        device = _DEVICE.stat()
    except OSError:
        return [shutil.which(EMULATOR)]
    return [shutil.which(EMULATOR), device.st_rdev, device.st_mode, device.st_uid, device.st_gid]


def _cached(cache: Path, about: dict[str, Any]) -> Accelerator | None:
    """Return the answer that was found with the same, if there is one."""
    try:
        content = json.loads(cache.read_bytes())
        if {key: content[key] for key in about} == about:
            return Accelerator(content["name"], content["reason"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    return None


def _obstacle() -> str | None:
    """Return why KVM need not even be tried; None where it has to be."""
    if shutil.which(EMULATOR) is None:
        return f"{EMULATOR} is not on PATH, so that KVM could not be tried"
    if not _DEVICE.exists():
        return f"this machine has no {_DEVICE}"
    if kvm_group() is None and _DEVICE.stat().st_mode & 0o006 != 0o006:
        give = f"chgrp {_GROUP} {_DEVICE} && chmod 660 {_DEVICE}"
        remedy = give if _has_group() else f"groupadd --system {_GROUP} && {give}"
        return f"{_DEVICE} is for root alone, and QEMU does not run as root: `{remedy}`"
    return None


def _has_group() -> bool:
    """Return whether this machine has the group that distributions give the device to."""
    try:
        grp.getgrnam(_GROUP)
    except KeyError:
        return False
    return True


async def _try(limit_seconds: float, folder: Path | None) -> Accelerator:
    """Try KVM, having ruled out what is plain without a guest; in a folder that everybody can enter."""
    obstacle = _obstacle()
    if obstacle is not None:
        return Accelerator("tcg", obstacle)
    status = await run_boot_sector("kvm", limit_seconds=limit_seconds, group=kvm_group(), folder=folder)
    if status == _SUCCESS:
        return Accelerator("kvm", "a guest ran with KVM")
    if status is None:
        return Accelerator("tcg", f"/dev/kvm is there, but a guest did not come back within {limit_seconds:g} s")
    return Accelerator("tcg", f"/dev/kvm is there, but QEMU cannot use it (status {status})")


async def run_boot_sector(
    accelerator: str, *, limit_seconds: float, group: int | None = None, folder: Path | None = None
) -> int | None:
    """Run the guest of one boot sector as nobody, and return QEMU's exit status: 99 means that it ran.

    Args:
        accelerator: As QEMU calls it.
        limit_seconds: After that it is killed.
        group: A supplementary group; None: none.
        folder: Where its floppy lies meanwhile; None: where temporary files do.

    Returns:
        The status; None where the guest did not end in time.
    """
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=folder) as made:
        floppy = _floppy(Path(made))
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
