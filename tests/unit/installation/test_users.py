"""Which UIDs an installation takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtualserver.installation import users
from virtualserver.installation.errors import InstallationError
from virtualserver.installation.record import UidRange

EVERYTHING = [range(2**32 - 1)]


def test_every_process_has_a_user_of_its_own() -> None:
    uids = UidRange(1_000_000, users.SIZE)
    named = {uids.etcd, uids.kube_apiserver, uids.kube_controller_manager, uids.operator, uids.dnsmasq}
    assert len(named) == 5
    assert not named & set(uids.guests)
    assert named | set(uids.guests) <= set(range(uids.base, uids.base + uids.size))


@given(slot=st.integers(0, 5000), busy=st.lists(st.integers(0, 2000), max_size=40))
def test_what_is_taken_is_never_chosen(slot: int, busy: list[int]) -> None:
    taken = [range(0x70000000 + start * 1000, 0x70000000 + start * 1000 + 700) for start in busy]
    chosen = users.choose(mapped=EVERYTHING, taken=taken, slot=slot)
    mine = range(chosen.base, chosen.base + chosen.size)
    assert not [other for other in taken if mine.start < other.stop and other.start < mine.stop]


def test_installations_that_do_not_know_of_each_other_differ_by_their_slot() -> None:
    assert users.choose(mapped=EVERYTHING, taken=[], slot=1) != users.choose(mapped=EVERYTHING, taken=[], slot=2)


def test_a_container_with_few_users_gets_a_range_that_exists() -> None:
    chosen = users.choose(mapped=[range(65536)], taken=[range(1000, 1001)], slot=700)
    assert chosen.base + chosen.size <= 65536
    assert chosen.base > 1001


def test_no_room_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(InstallationError, match="/etc/subuid"):
        users.choose(mapped=[range(1000)], taken=[], slot=0)
