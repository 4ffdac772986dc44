"""What is told where the host's uplinks become others."""

from __future__ import annotations

import pytest

from virtualserver.fabric.kernel.uplinks import adjustments


@pytest.mark.parametrize(
    ("before", "after", "mtus", "told"),
    [
        ({}, {"wan0": 1400}, (1500, 1400), []),
        ({"wan0": 1500}, {"wan0": 1500}, (1500, 1500), []),
        ({"wan0": 9000}, {"wan0": 1500}, (1500, 1500), []),
        ({"wan0": 1500}, {"wifi0": 1500}, (1500, 1500), ["by wifi0 now, before by wan0"]),
        ({"wan0": 1500}, {}, (1500, 1500), ["by none now, before by wan0"]),
        ({"wan0": 1500}, {"vpn0": 1420, "wan0": 1500}, (1500, 1420), ["by vpn0, wan0 now", "is 1420 now, before 1500"]),
    ],
)
def test_what_became_otherwise_is_told(
    before: dict[str, int], after: dict[str, int], mtus: tuple[int, int], told: list[str]
) -> None:
    """Fault 33."""
    found = [one.what for one in adjustments(before, after, *mtus)]
    assert len(found) == len(told)
    assert all(words in one for words, one in zip(told, found, strict=True))
