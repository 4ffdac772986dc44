"""What is no raw disk though nothing says so but its content (fault 37)."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from virtualserver.storage.recognition import recognise

if TYPE_CHECKING:
    from pathlib import Path

DISK = b"\xeb\x63\x90" + bytes(507) + b"\x55\xaa" + bytes(8000)
"""A boot sector and what follows it."""


def _tar() -> bytes:
    with io.BytesIO() as target:
        with tarfile.open(fileobj=target, mode="w") as archive:
            member = tarfile.TarInfo("disk.ovf")
            member.size = len(DISK)
            archive.addfile(member, io.BytesIO(DISK))
        return target.getvalue()


def _zip() -> bytes:
    with io.BytesIO() as target:
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("disk.raw", DISK)
        return target.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "remedy"),
    [
        (lzma.compress(DISK), "packed by xz", "xz -dk {}"),
        (lzma.compress(DISK, format=lzma.FORMAT_ALONE), "packed by lzma", "xz -dk"),
        (gzip.compress(DISK), "packed by gzip", "gzip -dk {}"),
        (bz2.compress(DISK), "packed by bzip2", "bzip2 -dk {}"),
        (b"\x28\xb5\x2f\xfd\x00" + bytes(99), "packed by zstd", "zstd -d {}"),
        (_tar(), "a tar archive", "tar -xf {}"),
        (_zip(), "a zip archive", "unzip {}"),
        (b"<!DOCTYPE html>\n<title>404</title>", "a web page (HTML)", "download it again"),
        (b"\xef\xbb\xbf  <HTML lang=de>", "a web page (HTML)", "download it again"),
        (b'<?xml version="1.0"?>\n<Error/>', "an XML document", "download it again"),
        (b'{"error": "not found"}', "a JSON document", "download it again"),
        (b"# Disk DescriptorFile\nversion=1\nCID=1\n", "the description of a vmdk disk", "qemu-img convert"),
        (b"#!/bin/sh\nexit 0\n", "a script", "name the file of a disk"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS", "git lfs pull"),
        ("ä".encode() * 5000, "a text", "name the file of a disk"),
        ("\ufeffa text".encode("utf-16-le"), "a text", "name the file of a disk"),
        (b"\x7fELF\x02" + DISK, "a program (ELF)", "name the file of a disk"),
        (b"KDMV" + DISK, "a vmdk disk", "qemu-img convert"),
        (b"vhdxfile" + DISK, "a vhdx disk", "qemu-img convert"),
        (b"QFI\xfb\0\0\0\x01" + DISK, "a qcow disk of version 1", "qemu-img convert"),
        (bytes(64) + b"\x7f\x10\xda\xbe" + DISK, "a vdi disk", "qemu-img convert"),
        (DISK + b"conectix" + bytes(504), "a vpc disk (VHD)", "qemu-img convert"),
        (DISK + b"koly" + bytes(508), "a dmg disk", "qemu-img convert"),
    ],
)
def test_what_is_no_disk_is_named_with_what_helps(tmp_path: Path, content: bytes, name: str, remedy: str) -> None:
    file = tmp_path / "disk.img"
    file.write_bytes(content)
    found = recognise(file)
    assert found is not None and found.name == name and remedy in found.remedy


@pytest.mark.parametrize(
    "content",
    [
        DISK,
        DISK[:7001],
        bytes(4096),
        b"\0",
        b"content".ljust(4096, b"\0"),
        b"QFI\xfb\0\0\0\x03" + bytes(500),
        bytes(32768) + b"\x01CD001" + bytes(2048),
        bytes(1080) + b"\x53\xef" + bytes(4000),
        b"\xff\xc0\x10" + bytes(range(256)) * 40,
    ],
    ids=["boot sector", "odd size", "zeros", "one byte", "some text", "qcow2", "ISO", "ext4", "anything else"],
)
def test_what_may_be_a_disk_is_let_pass(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "disk.img"
    file.write_bytes(content)
    assert recognise(file) is None


@pytest.mark.parametrize("form", ["vdi", "vmdk", "vpc", "vhdx", "qcow", "qed", "parallels"])
def test_what_qemu_writes_in_other_forms_is_recognised(tmp_path: Path, form: str) -> None:
    file = tmp_path / "disk.img"
    subprocess.run(["qemu-img", "create", "-q", "-f", form, str(file), "8M"], check=True)
    found = recognise(file)
    assert found is not None and "qemu-img convert" in found.remedy
