"""The header of a qcow2 file, read by ourselves: ``qemu-img`` opens what it names, with the rights of its caller.

Who breaks out of a guest can write any header into its own disk. Source: QEMU's docs/interop/qcow2.txt.
"""

from __future__ import annotations

import dataclasses
import os
import struct
from typing import TYPE_CHECKING, Final

from virtualserver.storage.recognition import QCOW2_MAGIC

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Header", "Qcow2Error", "read"]

_FIELDS: Final = struct.Struct(">4sIQI4xQ40xQ")
"""Magic, version, where the backing file's name is and how long, the guest's size, incompatible features."""

_DATA_FILE: Final = 1 << 2
_LONGEST_NAME: Final = 1023


class Qcow2Error(Exception):
    """A file is no qcow2 disk; the message says which."""


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """What a disk says of itself and of other files; nothing of it is to be believed.

    Attributes:
        virtual_size: Bytes as a guest sees it.
        backing: The name of its backing file as it is written; None: it has none.
        has_data_file: Whether its content is in another file.
    """

    virtual_size: int
    backing: str | None
    has_data_file: bool


def read(path: Path) -> Header:
    """Return the header of a disk; no other file is opened, and a running machine may write to it.

    Raises:
        FileNotFoundError: It is not there.
        Qcow2Error: It is no qcow2 disk.
    """
    with path.open("rb") as file:
        fields = file.read(_FIELDS.size)
        if len(fields) < _FIELDS.size:
            raise Qcow2Error(f"{path}: no qcow2 disk")
        magic, version, offset, length, size, features = _FIELDS.unpack(fields)
        if magic != QCOW2_MAGIC or version not in (2, 3) or length > _LONGEST_NAME or offset >= 1 << 63:
            raise Qcow2Error(f"{path}: no qcow2 disk, or a damaged one")
        file.seek(offset)
        backing = os.fsdecode(file.read(length)) if offset else None
    # Version 2 has no features: something else is in that place.
    return Header(size, backing, version > 2 and bool(features & _DATA_FILE))
