"""What is known of addresses on the uplink, and for how long."""

from __future__ import annotations

import ipaddress

from virtualserver.node.allocation.vacancies import FRESH_SECONDS, Vacancies

ONE, TWO = ipaddress.ip_address("203.0.113.1"), ipaddress.ip_address("203.0.113.2")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_what_was_found_out_counts_for_a_while_and_a_change_is_told_once() -> None:
    clock = Clock()
    vacancies = Vacancies(clock=clock)
    assert vacancies.occupant(ONE) is None and vacancies.is_due(ONE)
    assert vacancies.note([ONE, TWO], {ONE: "somebody"}) == {ONE: "somebody"}
    assert (vacancies.occupant(ONE), vacancies.occupant(TWO)) == ("somebody", "")
    assert not vacancies.is_due(ONE)
    assert vacancies.note([ONE, TWO], {ONE: "somebody"}) == {}
    clock.now = FRESH_SECONDS
    assert vacancies.occupant(ONE) is None and vacancies.last_occupant(ONE) == "somebody"
    assert vacancies.note([ONE], {}) == {ONE: ""}


async def test_who_waits_to_know_of_an_address_wakes_who_asks() -> None:
    vacancies = Vacancies()
    assert not vacancies.wanted.is_set()
    vacancies.ask([ONE])
    assert vacancies.wanted.is_set()
    assert vacancies.take_asked() == {ONE}
    assert not vacancies.wanted.is_set() and vacancies.take_asked() == set()
