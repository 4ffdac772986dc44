from __future__ import annotations

import pytest

from virtualserver.local.namespace_quota import share_gib

GIB = 1 << 30


@pytest.mark.parametrize(
    ("disks", "share"),
    [(0, 1), (4 * GIB, 1), (40 * GIB, 8), (63 * GIB, 8), (64 * GIB, 16), (1000 * GIB, 128)],
)
def test_attack_a_namespaces_share_is_a_quarter_at_most_and_does_not_tell_how_large_the_disk_is(
    disks: int, share: int
) -> None:
    assert share_gib(disks) == share
