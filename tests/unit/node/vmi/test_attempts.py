"""A machine that QEMU refuses is tried ever more seldom, however often one is asked to look."""

from __future__ import annotations

import itertools

from virtualserver.node.vmi.attempts import Attempts


def test_a_start_that_fails_again_and_again_is_tried_ever_more_seldom() -> None:
    """A brother of fault 12: many machines that QEMU refuses, each tried every 5 s, kept the node busy for ever."""
    attempts, now, begun = Attempts(), 0.0, list[float]()
    for _ in range(3600):
        if attempts.rest("u", now) == 0:
            begun.append(now)
            attempts.failed("u", now)
        now += 1.0
    assert begun[:4] == [0, 5, 15, 35]
    assert len(begun) < 20
    assert max(later - earlier for earlier, later in itertools.pairwise(begun)) == 300
    assert attempts.rest("other", now) == 0


def test_one_that_started_begins_anew() -> None:
    attempts = Attempts()
    assert [attempts.failed("u", 0.0) for _ in range(3)] == [5, 10, 20]
    attempts.forget("u")
    assert attempts.rest("u", 0.0) == 0
    assert attempts.failed("u", 0.0) == 5
