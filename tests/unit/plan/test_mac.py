from __future__ import annotations

from virtualserver.plan import mac
from virtualserver.plan.mac import MACClaim


def a_claim(name: str, created: str, *, holds: bool = False) -> MACClaim:
    return MACClaim("default", name, f"uid-{name}", created, holds)


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
