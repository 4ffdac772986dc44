"""Allocations are unique, outlive the process and are never lost."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from virtualserver.node.allocation.allocations import (
    NOBODY,
    Allocation,
    Allocations,
    AllocationsError,
    AlreadyAllocated,
    Claimant,
    Release,
    read,
)

if TYPE_CHECKING:
    from pathlib import Path

OWNERS = st.sampled_from(["a", "b", "c"])
PURPOSES = st.sampled_from(["guest/4", "tap"])
VALUES = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])


def test_a_claim_is_there_after_the_file_is_opened_again(tmp_path: Path) -> None:
    allocations = Allocations(tmp_path / "claims")
    allocations.take("uid", "guest/4", "address", "10.0.0.1")
    allocations.close()
    again = Allocations(tmp_path / "claims")
    assert again.get("uid", "guest/4") == "10.0.0.1"
    assert again.values("address") == {"10.0.0.1"}
    again.close()


def test_a_value_is_refused_to_a_second_owner_and_the_first_is_named(tmp_path: Path) -> None:
    allocations = Allocations(tmp_path / "claims")
    allocations.take("first", "guest/4", "address", "10.0.0.1")
    with pytest.raises(AlreadyAllocated, match=r"10\.0\.0\.1 belongs to first"):
        allocations.take("second", "guest/4", "address", "10.0.0.1")
    assert allocations.get("second", "guest/4") is None
    allocations.close()


def test_the_same_number_may_be_a_user_and_a_tap(tmp_path: Path) -> None:
    allocations = Allocations(tmp_path / "claims")
    allocations.take("a", "user", "user", "7")
    assert allocations.take("b", "tap", "tap", "7") == "7"
    allocations.close()


def test_a_new_value_for_a_purpose_frees_the_old_one(tmp_path: Path) -> None:
    allocations = Allocations(tmp_path / "claims")
    allocations.take("a", "mac", "mac", "02:00:00:00:00:01")
    allocations.take("a", "mac", "mac", "02:00:00:00:00:02")
    assert allocations.take("b", "mac", "mac", "02:00:00:00:00:01")
    allocations.close()


def test_freeing_twice_and_freeing_what_changed_do_nothing(tmp_path: Path) -> None:
    allocations = Allocations(tmp_path / "claims")
    allocations.take("a", "tap", "tap", "tap1")
    old = allocations.all()
    allocations.free(old)
    allocations.free(old)
    allocations.take("a", "tap", "tap", "tap2")
    allocations.free(old)
    assert allocations.get("a", "tap") == "tap2"
    allocations.close()


def test_a_file_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "claims")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(AllocationsError, match="version 99"):
        Allocations(tmp_path / "claims")


WEB = Claimant("shop", "Service web")


def test_who_gave_an_address_back_and_when_outlives_a_restart_until_it_is_taken_again(tmp_path: Path) -> None:
    allocations = Allocations(tmp_path / "claims", clock=lambda: 77.5)
    allocations.take("a", "guest/4", "address", "10.0.0.1", WEB)
    allocations.take("a", "tap", "tap", "tap1", WEB)
    assert allocations.releases() == {}
    allocations.free(allocations.all())
    allocations.close()
    again = Allocations(tmp_path / "claims")
    assert again.releases() == {"10.0.0.1": Release(77.5, WEB)}, "of addresses only"
    again.take("b", "guest/4", "address", "10.0.0.1", NOBODY)
    assert again.releases() == {}
    again.close()
    third = Allocations(tmp_path / "claims")
    assert third.releases() == {}
    third.close()


def test_an_address_that_makes_room_for_another_is_given_back(tmp_path: Path) -> None:
    allocations = Allocations(tmp_path / "claims", clock=lambda: 5.0)
    allocations.take("a", "guest/4", "address", "10.0.0.1", WEB)
    allocations.take("a", "guest/4", "address", "10.0.0.2", WEB)
    assert allocations.releases() == {"10.0.0.1": Release(5.0, WEB)}
    allocations.close()


def test_a_file_of_the_first_version_is_taken_over_and_named_when_its_owners_come(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "claims")
    database.executescript("""
        CREATE TABLE claims (
            owner TEXT NOT NULL, purpose TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
            PRIMARY KEY (owner, purpose), UNIQUE (kind, value)
        ) WITHOUT ROWID;
        CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        INSERT INTO claims VALUES ('a', 'guest/4', 'address', '10.0.0.1');
        INSERT INTO facts VALUES ('boot', 'x');
        PRAGMA user_version = 1;
    """)
    database.close()
    assert read(tmp_path / "claims") == []
    allocations = Allocations(tmp_path / "claims")
    assert allocations.all() == [Allocation("a", "guest/4", "address", "10.0.0.1", NOBODY)]
    assert allocations.fact("boot") == "x"
    allocations.name("a", "guest/4", WEB)
    allocations.name("a", "guest/4", Claimant("other", "Service web"))
    assert read(tmp_path / "claims") == [Allocation("a", "guest/4", "address", "10.0.0.1", WEB)]
    allocations.close()


def test_a_file_of_the_second_version_gets_the_third_and_keeps_what_it_has(tmp_path: Path) -> None:
    allocations = Allocations(tmp_path / "claims")
    allocations.take("a", "guest/4", "address", "10.0.0.1", WEB)
    allocations.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "claims")) as database:
        database.execute("PRAGMA user_version = 2")
    allocations = Allocations(tmp_path / "claims")
    assert allocations.all() == [Allocation("a", "guest/4", "address", "10.0.0.1", WEB)]
    allocations.take("b", "load-balancer/public/TCP/443", "port", "TCP/443", WEB)
    with pytest.raises(AlreadyAllocated):
        allocations.take("c", "load-balancer/public/TCP/443", "port", "TCP/443", WEB)
    allocations.close()
    assert {one.kind for one in read(tmp_path / "claims")} == {"address", "port"}


def test_a_file_that_is_not_there_is_read_as_empty_and_not_made(tmp_path: Path) -> None:
    assert read(tmp_path / "claims") == []
    assert not (tmp_path / "claims").exists()


def test_a_holder_is_called_as_people_write_it() -> None:
    assert str(WEB) == "Service shop/web"


def test_every_write_reaches_the_disk_before_it_counts(tmp_path: Path) -> None:
    allocations = Allocations(tmp_path / "claims")
    allocations.take("a", "tap", "tap", "tap1")
    # What a power cut now would leave: the files as they are, without a clean end.
    for name in ("claims", "claims-wal"):
        (tmp_path / f"cut-{name}").write_bytes((tmp_path / name).read_bytes())
    (tmp_path / "cut-claims").rename(tmp_path / "cut")
    (tmp_path / "cut-claims-wal").rename(tmp_path / "cut-wal")
    after = Allocations(tmp_path / "cut")
    assert after.get("a", "tap") == "tap1"
    after.close()
    allocations.close()


def test_facts_are_remembered_and_forgotten(tmp_path: Path) -> None:
    allocations = Allocations(tmp_path / "claims")
    assert allocations.fact("boot") is None
    allocations.remember("boot", "x")
    assert allocations.fact("boot") == "x"
    allocations.remember("boot", None)
    assert allocations.fact("boot") is None
    allocations.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), OWNERS, PURPOSES, VALUES), max_size=12))
def test_no_value_is_ever_held_twice_in_memory_or_on_disk(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("claims") / "claims"
    allocations = Allocations(path)
    for takes, owner, purpose, value in steps:
        if takes:
            with contextlib.suppress(AlreadyAllocated):
                allocations.take(owner, purpose, "address", value)
        else:
            allocations.free(allocation for allocation in allocations.all() if allocation.owner == owner)
    held = [allocation.value for allocation in allocations.all()]
    assert len(held) == len(set(held))
    allocations.close()
    again = Allocations(path)
    assert sorted(again.all(), key=_order) == sorted(allocations.all(), key=_order)
    again.close()


def _order(allocation: Allocation) -> tuple[str, str]:
    return allocation.owner, allocation.purpose
