"""Taps, MACs and user numbers: each goes to one owner, who keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from virtualserver.node.allocation.allocations import Allocations, Claimant
from virtualserver.node.allocation.nics import Nics
from virtualserver.node.waits import Wait

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def nics(tmp_path: Path) -> Nics:
    return Nics(Allocations(tmp_path / "claims.sqlite"), range(100, 103))


def test_fault_6_whose_a_mac_is_stays_in_its_namespace(nics: Nics) -> None:
    theirs = Claimant("theirs", "VirtualMachine secret-name")
    nics.mac("uid-of-theirs", "02:00:00:00:00:01", theirs)
    fault = nics.mac("a", "02:00:00:00:00:01", Claimant("default", "VirtualMachine web"))
    assert isinstance(fault, Wait)
    assert "in use by a server of another namespace" in fault.message
    assert all(word not in fault.message for word in ("theirs", "secret-name"))
    sibling = nics.mac("a", "02:00:00:00:00:01", Claimant("theirs", "VirtualMachine web"))
    assert isinstance(sibling, Wait)
    assert "VirtualMachine theirs/secret-name" in sibling.message


def test_a_mac_of_another_server_is_refused_with_the_field(nics: Nics) -> None:
    assert nics.mac("a", "02:00:00:00:00:01") == "02:00:00:00:00:01"
    fault = nics.mac("b", "02:00:00:00:00:01")
    assert isinstance(fault, Wait)
    assert "spec.network.macAddress" in fault.message


def test_users_run_out_with_a_reason(nics: Nics) -> None:
    for owner in "abc":
        assert isinstance(nics.user(owner), int)
    assert isinstance(nics.user("d"), Wait)


def test_attack_a_namespace_with_many_machines_leaves_user_numbers_to_others(tmp_path: Path) -> None:
    """Machines that could never run took all of them, and every other tenant waited for ever."""
    nics = Nics(Allocations(tmp_path / "claims.sqlite"), range(100, 164))
    mallory, victim = Claimant("mallory", "VirtualMachine m"), Claimant("shop", "VirtualMachine web")
    given = [nics.user(f"m{number}", mallory) for number in range(64)]
    assert [isinstance(one, int) for one in given] == [True] * 48 + [False] * 16
    assert isinstance(refused := given[-1], Wait) and refused.reason == "TooManyServers"
    assert refused.message.startswith("namespace mallory has 48 of 64 user numbers, the last are for others: delete")
    assert isinstance(nics.user("web", victim), int)
    assert nics.user("m0", mallory) == given[0], "what it has it keeps"


def test_numbers_that_a_version_before_gave_count_for_their_namespace_from_the_next_start_on(tmp_path: Path) -> None:
    nics = Nics(allocations := Allocations(tmp_path / "claims.sqlite"), range(100, 164))
    number = nics.user("web")
    assert nics.user("web", Claimant("shop", "VirtualMachine web")) == number
    assert [one.claimant.namespace for one in allocations.all()] == ["shop"]
