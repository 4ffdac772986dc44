"""Recognises files that are no raw disk: raw disks have no mark of their own, so everything else would pass for one.

Source: file(1)'s magic; the forms' own documents.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["QCOW2_MAGIC", "Foreign", "recognise"]

QCOW2_MAGIC: Final = b"QFI\xfb"
_HEAD_BYTES: Final = 4096
_FOOTER_BYTES: Final = 512
_CONVERT: Final = "turn it into one that is known: `qemu-img convert -O qcow2 {} new.qcow2`"
_AGAIN: Final = "this is what a server answered in place of the disk: download it again, `curl -fLO ADDRESS`"
_OTHER: Final = "name the file of a disk, raw or qcow2"


@dataclasses.dataclass(frozen=True, slots=True)
class Foreign:
    """What a file is that is no disk that is known.

    Attributes:
        name: In words, with an article.
        remedy: What to do with it, where ``{}`` is the file's name; a command where one helps.
    """

    name: str
    remedy: str


def _packed(name: str, command: str) -> Foreign:
    return Foreign(f"packed by {name}", f"unpack it: `{command}`")


_MAGIC: Final = (
    (0, b"\xfd7zXZ\0", _packed("xz", "xz -dk {}")),
    (0, b"\x1f\x8b\x08", _packed("gzip", "gzip -dk {}")),
    (0, b"BZh", _packed("bzip2", "bzip2 -dk {}")),
    (0, b"\x28\xb5\x2f\xfd", _packed("zstd", "zstd -d {}")),
    (0, b"\x04\x22\x4d\x18", _packed("lz4", "lz4 -d {}")),
    (0, b"LZIP", _packed("lzip", "lzip -dk {}")),
    (0, b"\x5d\0\0\x80\0", _packed("lzma", "xz -dk --format=lzma {}")),
    (0, b"PK\x03\x04", Foreign("a zip archive", "unpack it: `unzip {}`")),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign("a 7z archive", "unpack it: `7z x {}`")),
    (0, b"Rar!\x1a\x07", Foreign("a rar archive", "unpack it: `unrar x {}`")),
    (257, b"ustar", Foreign("a tar archive", "unpack it, `tar -xf {}`, and name the disk in it")),
    (0, b"070701", Foreign("a cpio archive", _OTHER)),
    (0, b"!<arch>\n", Foreign("a package or library (ar)", _OTHER)),
    (0, b"\xed\xab\xee\xdb", Foreign("an RPM package", _OTHER)),
    (0, b"hsqs", Foreign("a squashfs file system", _OTHER)),
    (0, b"\x7fELF", Foreign("a program (ELF)", _OTHER)),
    (0, b"%PDF-", Foreign("a PDF document", _OTHER)),
    (0, b"\x89PNG\r\n", Foreign("a picture (PNG)", _OTHER)),
    (0, b"\xff\xd8\xff", Foreign("a picture (JPEG)", _OTHER)),
    (0, b"KDMV", Foreign("a vmdk disk", _CONVERT)),
    (0, b"COWD", Foreign("a vmdk disk", _CONVERT)),
    (0, b"# Disk DescriptorFile", Foreign("the description of a vmdk disk", _CONVERT)),
    (0, b"vhdxfile", Foreign("a vhdx disk", _CONVERT)),
    (0, b"conectix", Foreign("a vpc disk (VHD)", _CONVERT)),
    (0, b"<<< ", Foreign("a vdi disk", _CONVERT)),
    (64, b"\x7f\x10\xda\xbe", Foreign("a vdi disk", _CONVERT)),
    (0, b"QED\0", Foreign("a qed disk", _CONVERT)),
    (0, b"WithoutFreeSpace", Foreign("a Parallels disk", _CONVERT)),
    (0, b"WithouFreSpacExt", Foreign("a Parallels disk", _CONVERT)),
    (0, QCOW2_MAGIC + b"\0\0\0\x01", Foreign("a qcow disk of version 1", _CONVERT)),
)
"""Where a mark lies, the mark, and what has it."""

_FOOTERS: Final = ((b"conectix", Foreign("a vpc disk (VHD)", _CONVERT)), (b"koly", Foreign("a dmg disk", _CONVERT)))
"""The marks of forms that are told by their last 512 bytes."""

_TEXTS: Final = (
    (r"<(!doctype html|html|head|body)\b", Foreign("a web page (HTML)", _AGAIN)),
    (r"<", Foreign("an XML document", _AGAIN)),
    (r"[{\[]", Foreign("a JSON document", _AGAIN)),
    (r"version https://git-lfs", Foreign("a pointer of Git LFS", "fetch the file itself: `git lfs pull`")),
    (r"#!", Foreign("a script", _OTHER)),
    (r"", Foreign("a text", _OTHER)),
)
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def recognise(path: Path) -> Foreign | None:
    """Return what a file is, None where it is a qcow2 disk or may be a raw one."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(max(0, path.stat().st_size - _FOOTER_BYTES))
        footer = file.read(_FOOTER_BYTES)
    for place, magic, foreign in _MAGIC:
        if head.startswith(magic, place):
            return foreign
    for magic, foreign in _FOOTERS:
        if footer.startswith(magic):
            return foreign
    text = _text(head)
    return None if text is None else next(foreign for begins, foreign in _TEXTS if re.match(begins, text))


def _text(head: bytes) -> str | None:
    """Return how a text begins, in small letters; None: these are no letters."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", errors="replace").strip().lower()
    if _CONTROLS.search(head):
        return None
    try:
        # The last letter may be cut in two.
        return head.decode("utf-8-sig", errors="strict" if len(head) < _HEAD_BYTES else "ignore").strip().lower()
    except UnicodeDecodeError:
        return None
