from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.virtualservers import a_server
from virtualserver.plan import mac
from virtualserver.plan.mac import Claim


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_derived_address_is_local_unicast_and_always_the_same(namespace: str, name: str) -> None:
    address = mac.derive(namespace, name)
    assert len(address) == 17 and address[1] in "26ae"
    assert mac.derive(namespace, name) == address


def test_derived_addresses_of_many_servers_are_distinct() -> None:
    addresses = {mac.derive(f"tenant-{number % 10}", f"vs{number}") for number in range(10_000)}
    assert len(addresses) == 10_000


@pytest.mark.parametrize("text", ["A2-1F-EE-09-06-5D", "a2:1f:ee:09:06:5d", "A2:1F:EE:09:06:5D"])
def test_both_forms_mean_the_same_address(text: str) -> None:
    assert mac.address(a_server(network={"macAddress": text})) == "a2:1f:ee:09:06:5d"


def a_claim(name: str, created: str, *, holds: bool = False) -> Claim:
    return Claim("default", name, f"uid-{name}", created, holds)


def test_the_older_server_wins() -> None:
    claims = [a_claim("new", "2026-02-01"), a_claim("old", "2026-01-01")]
    winner = mac.holder(claims)
    assert winner and winner.name == "old"


def test_a_machine_that_has_the_address_keeps_it_against_an_older_server() -> None:
    claims = [a_claim("old", "2026-01-01"), a_claim("running", "2026-02-01", holds=True)]
    winner = mac.holder(claims)
    assert winner and winner.name == "running"


def test_without_claims_nobody_has_it() -> None:
    assert mac.holder([]) is None
