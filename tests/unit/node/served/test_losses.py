"""For each place where packets can be lost: what is seen there is told, with what to do, and nothing later."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from virtualserver.api.network_path import Answer, Element, Loss, LossPlace
from virtualserver.node.served import losses
from virtualserver.node.served.losses import CardSeen, MachineSeen, Server, ServiceSeen

SERVER = Server("shop", "web")
MAC, OTHER_MAC = "02:00:00:00:00:02", "02:00:00:00:00:03"
WHOLE: dict[str, Any] = {
    "service": ServiceSeen(),
    "machine": MachineSeen(runs=True),
    "card": CardSeen(mac=MAC, heard=MAC),
    "element": Element.OPEN,
    "answer": Answer.ANSWERS,
}
"""A way on which nothing is lost."""

SEEN: list[tuple[LossPlace, dict[str, Any]]] = [
    (LossPlace.ADDRESS, {"service": ServiceSeen(waits="pool 'public' has no free address")}),
    (LossPlace.UPLINK, {"service": ServiceSeen(contested="answered for by 02:aa:aa:aa:aa:aa too")}),
    (LossPlace.RULES, {"service": ServiceSeen(refused="targetPort 'http': a machine has no port names")}),
    (LossPlace.SOURCES, {"service": ServiceSeen(closed=True)}),
    (LossPlace.MACHINE, {"machine": MachineSeen(runs=False), "card": None}),
    (LossPlace.MACHINE, {"machine": MachineSeen(runs=False, starts=True, message="waits for its disk"), "card": None}),
    (LossPlace.MACHINE, {"machine": MachineSeen(runs=True, paused=True)}),
    (LossPlace.MACHINE, {"machine": MachineSeen(runs=True, stands_still="paused: it writes, and no room is left")}),
    (LossPlace.ELEMENT, {"element": Element.MISSING}),
    (LossPlace.ELEMENT, {"element": Element.NONE}),
    (
        LossPlace.READINESS,
        {"element": Element.WITHHELD, "machine": MachineSeen(runs=True, message="the probe fails")},
    ),
    (LossPlace.READINESS, {"element": Element.OTHERS}),
    (LossPlace.FLOWS, {"card": CardSeen(mac=MAC, heard=MAC, bounded=True)}),
    (LossPlace.CARD, {"card": None, "answer": Answer.NOT_ASKED}),
    (LossPlace.CARD, {"card": CardSeen(mac=MAC, refused="the data plane cannot carry it"), "answer": Answer.SILENT}),
    (LossPlace.CARD, {"card": CardSeen(mac=MAC, missing=("guard_ip", "tap")), "answer": Answer.SILENT}),
    (LossPlace.LEASE, {"card": CardSeen(mac=MAC, taken=False), "answer": Answer.UNREACHABLE}),
    (LossPlace.GUARD, {"card": CardSeen(mac=MAC, heard=OTHER_MAC), "answer": Answer.SILENT}),
    (LossPlace.GUARD, {"card": CardSeen(mac=MAC, grown={"mac": 3}), "answer": Answer.UNREACHABLE}),
    (LossPlace.ARP, {"card": CardSeen(mac=MAC), "answer": Answer.UNREACHABLE}),
    (LossPlace.PORT, {"answer": Answer.REFUSED}),
    (LossPlace.GUEST, {"answer": Answer.SILENT}),
    (LossPlace.GUEST, {"answer": Answer.UNREACHABLE}),
]


def of(**seen: Any) -> Loss | None:
    return losses.of_port(SERVER, **(WHOLE | seen))


def test_each_place_has_a_case() -> None:
    assert {place for place, _ in SEEN} == set(LossPlace)


@pytest.mark.parametrize(("place", "seen"), SEEN, ids=[f"{place}-{number}" for number, (place, _) in enumerate(SEEN)])
def test_a_place_of_loss_is_told_with_what_to_do(place: LossPlace, seen: dict[str, Any]) -> None:
    loss = of(**seen)
    assert loss is not None
    assert loss.place is place
    assert loss.message and loss.remedy


def test_where_nothing_is_wrong_nothing_is_said() -> None:
    assert of() is None
    assert of(answer=Answer.NOT_ASKED) is None, "UDP, whose guest answers for its address"
    assert of(card=CardSeen(mac=MAC, heard=MAC, taken=False)) is None, "a guest that set its address itself"


def test_who_answers_has_lost_nothing_whatever_else_was_seen() -> None:
    assert of(card=CardSeen(mac=MAC, taken=False)) is None
    assert of(card=CardSeen(mac=MAC, grown={"address": 4})) is None


@pytest.mark.parametrize("first", range(len(SEEN) - 1))
def test_the_first_place_from_outside_counts(first: int) -> None:
    """Of two things that are wrong in different parts of the way the outer one is told."""
    place, seen = SEEN[first]
    for other_place, other in SEEN[first + 1 :]:
        if not seen.keys() & other.keys():
            loss = of(**seen, **other)
            assert loss is not None
            assert loss.place is place, f"{place} comes before {other_place}"


def test_an_address_that_is_the_guests_as_a_whole_is_judged_without_a_port() -> None:
    def whole(**seen: Any) -> Loss | None:
        return losses.of_address(SERVER, **{key: value for key, value in (WHOLE | seen).items() if key != "answer"})

    assert whole() is None
    for place, seen in SEEN:
        if "answer" not in seen and place is not LossPlace.READINESS:
            loss = whole(**seen)
            assert loss is not None
            assert loss.place is place
    silent = whole(card=CardSeen(mac=MAC))
    assert silent is not None
    assert silent.place is LossPlace.ARP


def test_what_a_guest_sends_besides_is_not_why_it_is_not_heard() -> None:
    chatty = of(card=CardSeen(mac=MAC, grown={"ipv6": 3}), answer=Answer.UNREACHABLE)
    assert chatty is not None
    assert chatty.place is LossPlace.ARP
    another = of(card=CardSeen(mac=MAC, taken=False, grown={"address": 3}), answer=Answer.UNREACHABLE)
    assert another is not None
    assert another.place is LossPlace.GUARD, "it speaks, by an address that is not its own"


def test_commands_name_the_server_and_its_namespace() -> None:
    stopped = of(machine=MachineSeen(runs=False), card=None)
    assert stopped is not None
    assert stopped.remedy == "start it: vs start web -n shop"
    closed = of(service=ServiceSeen("web-tcp", closed=True))
    assert closed is not None
    assert closed.remedy.endswith(": kubectl edit service web-tcp -n shop")
    assert dataclasses.replace(SERVER, namespace="default").command("logs") == "vs logs web"


def test_a_card_on_a_vpc_is_judged_by_the_hosts_side_alone() -> None:
    assert losses.of_vpc_card(SERVER, "", ()) is None
    for refused, missing in (("no such tap", ()), ("", ("tap",))):
        loss = losses.of_vpc_card(SERVER, refused, missing)
        assert loss is not None
        assert loss.place is LossPlace.CARD
