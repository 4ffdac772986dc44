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
