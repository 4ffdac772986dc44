"""When a thing counts as fought over, and how long nothing is put back then."""

from __future__ import annotations

from virtualserver.fabric.desired.contest import Contest, Contests
from virtualserver.fabric.desired.repair import Repair

TABLE = Repair("nftables rules of the namespace", "namespace vs-x")
GUARD = Repair("guard of vst-1", "namespace vs-x")
ROUTE = Repair("route to 203.0.113.0/24", "host")


def fought(contests: Contests, *, rounds: int, every: float, begin: float = 0.0) -> tuple[int, int]:
    """Return how many repairs and how many fights were told."""
    told = begun = 0
    for number in range(rounds):
        repairs, contested = contests.take([TABLE], begin + number * every)
        told, begun = told + len(repairs), begun + len(contested)
    return told, begun


def test_twenty_repairs_of_one_thing_within_ten_seconds_are_a_fight_which_is_told_once() -> None:
    contests = Contests()
    assert fought(contests, rounds=19, every=0.5) == (19, 0)
    assert contests.pause(9.0) == 0
    assert contests.take([TABLE], 9.5) == ([], [Contest(*TABLE)])
    assert contests.pause(9.5) == 1.0
    assert fought(contests, rounds=19, every=1.0, begin=10.5) == (0, 0)
    assert contests.pause(29) == 1.0
    assert contests.take([TABLE], 29.5) == ([], [])
    assert contests.pause(29.5) == 5.0


def test_repairs_now_and_then_or_of_several_things_are_none() -> None:
    contests = Contests()
    assert fought(contests, rounds=100, every=0.6) == (100, 0)
    things = [Repair(f"route to 10.42.0.{number}", "host") for number in range(100)]
    assert contests.take(things, 70) == (things, [])
    assert contests.pause(70) == 0


def test_what_is_taken_away_together_is_one_fight() -> None:
    contests = Contests()
    for number in range(19):
        assert contests.take([TABLE, GUARD], number * 0.1) == ([TABLE, GUARD], [])
    assert contests.take([TABLE, GUARD], 3.0) == ([], [Contest(f"{TABLE.what} and 1 more", TABLE.where)])


def test_another_thing_is_told_all_the_while() -> None:
    contests = Contests()
    fought(contests, rounds=25, every=0.1)
    assert contests.take([TABLE, ROUTE], 3.0) == ([ROUTE], [])


def test_a_fight_that_nobody_goes_on_with_is_forgotten_and_the_next_one_told() -> None:
    contests = Contests()
    fought(contests, rounds=60, every=0.1)
    assert contests.pause(65.5) == 5.0
    assert contests.pause(66.0) == 0
    assert fought(contests, rounds=20, every=0.1, begin=100.0) == (19, 1)
