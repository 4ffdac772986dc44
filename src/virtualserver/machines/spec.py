"""What a machine is, in our words, which are in its folder before QEMU starts: whoever comes later knows what runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final, Literal

import msgspec

from virtualserver.storage.kernel import Kernel

__all__ = [
    "SPEC_VERSION",
    "Disk",
    "Kernel",
    "MachineSpec",
    "NewerSpecError",
    "Nic",
    "SpecError",
    "decode_spec",
    "encode_spec",
]

SPEC_VERSION: Final = 1
"""The version of ``spec.json`` that this code writes."""


class SpecError(Exception):
    """A ``spec.json`` cannot be read; the message names the file and what to do."""


class NewerSpecError(SpecError):
    """A newer program wrote it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Disk:
    """One disk of a machine.

    Attributes:
        path: The file; readable, and unless read_only writable, by the machine's user.
        format: How the file is to be read; never guessed from what a guest may have written.
        name: What the disk is called in the machine's specification, unique in it.
        read_only: True where the guest cannot write.
        serial: The serial number that the guest sees; None: none.
        ephemeral: True where each launch starts from `path` again and what the guest writes is lost with the machine.
    """

    path: Path
    format: Literal["qcow2", "raw"]
    name: str
    read_only: bool = False
    serial: str | None = None
    ephemeral: bool = False

    @property
    def is_written(self) -> bool:
        """Whether the guest's writes go to `path`."""
        return not (self.read_only or self.ephemeral)


@dataclasses.dataclass(frozen=True, slots=True)
class Nic:
    """One network card.

    Attributes:
        device: The tap's name in the data plane.
        mac: Six octets in lower case with colons.
        mtu: What the guest is told by the card itself, in bytes; None: nothing, so that DHCP tells it.
    """

    device: str
    mac: str
    mtu: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class MachineSpec:
    """All that QEMU is told about one machine.

    Attributes:
        identifier: Names the machine for ever, and its folders; whoever launches it chooses it.
        name: ``namespace/name``, for people: in the process list and in logs.
        cpus: 1 or more.
        memory_bytes: A multiple of 1 KiB.
        accelerator: ``kvm`` or ``tcg``, as `accelerator.probe` found.
        user: The UID and GID that QEMU runs under, of no other machine; recorded before use.
        disks: The first one boots.
        nics: In the order in which the guest sees them.
        kernel: Booted directly; None: the first disk boots.
        seed: The NoCloud ISO that `seed.write_seed` wrote; None: none.
        uefi: True: UEFI firmware; False: BIOS.
        uuid: The SMBIOS UUID, lower case; None: QEMU's default.
        serial: The SMBIOS serial number; None: none.
        virtio_transitional: True: virtio devices also speak the protocol before version 1, for old guests.
    """

    identifier: str
    name: str
    cpus: int
    memory_bytes: int
    accelerator: Literal["kvm", "tcg"]
    user: int
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    kernel: Kernel | None = None
    seed: Path | None = None
    uefi: bool = False
    uuid: str | None = None
    serial: str | None = None
    virtio_transitional: bool = False


def encode_spec(spec: MachineSpec) -> bytes:
    """Return the content of ``spec.json``."""
    return msgspec.json.format(
        msgspec.json.encode({"formatVersion": SPEC_VERSION, "spec": spec}, enc_hook=str), indent=2
    )


def decode_spec(content: bytes, *, path: Path) -> MachineSpec:
    """Read the content of ``spec.json``.

    Args:
        content: What the file holds.
        path: Where it lies, for the error.

    Raises:
        SpecError: It is none.
        NewerSpecError: A newer program wrote it.
    """
    try:
        document = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        version = msgspec.json.decode(document["formatVersion"], type=int)
        if version > SPEC_VERSION:
            raise NewerSpecError(
                f"{path}: formatVersion {version} is newer than this program, which knows {SPEC_VERSION}: "
                "install the newer program again"
            )
        return msgspec.json.decode(document["spec"], type=MachineSpec, dec_hook=_decode_path)
    except (msgspec.MsgspecError, KeyError) as error:
        raise SpecError(f"{path}: no description of a machine ({error}): restore the file from a backup") from None


def _decode_path(kind: type, value: object) -> object:
    """Turn the text of a path into a path."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)
