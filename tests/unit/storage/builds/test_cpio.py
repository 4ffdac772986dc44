"""Initial RAM disks."""

from __future__ import annotations

import gzip

from virtualserver.storage.builds import cpio


def test_the_same_entries_give_the_same_bytes_in_any_order() -> None:
    one = {"a": cpio.file("x"), "b/c": cpio.file("y", mode=0o755), "d": cpio.link("a")}
    assert cpio.archive(one) == cpio.archive(dict(reversed(one.items())))


def test_another_archive_may_follow() -> None:
    packed = cpio.archive({"a": cpio.file("x")})
    assert len(packed) % 4 == 0


def test_folders_come_before_what_is_in_them() -> None:
    body = gzip.decompress(cpio.archive({"usr/bin/x": cpio.file("x")}))
    assert body.index(b"usr\0") < body.index(b"usr/bin\0") < body.index(b"usr/bin/x\0")


def test_every_record_is_aligned_and_the_trailer_ends() -> None:
    body = gzip.decompress(cpio.archive({"abc": cpio.file("12345"), "d": cpio.link("abc")}))
    at = 0
    names: list[str] = []
    while at < len(body):
        assert body[at : at + 6] == b"070701"
        size, name_size = (int(body[at + offset : at + offset + 8], 16) for offset in (54, 94))
        names.append(body[at + 110 : at + 110 + name_size - 1].decode())
        at = (at + 110 + name_size + 3) // 4 * 4
        at = (at + size + 3) // 4 * 4
    assert names == ["abc", "d", "TRAILER!!!"]
