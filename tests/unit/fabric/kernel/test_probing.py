"""The frames by which a link is asked who has an address, and what of others' frames says so."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from virtualserver.fabric.kernel.answering import announcement, defence
from virtualserver.fabric.kernel.links import Link
from virtualserver.fabric.kernel.probing import answer_in, question

OWN, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
ADDRESS = ip_address("203.0.113.7")


def test_a_question_in_nobodys_name_claims_nothing() -> None:
    frame = question(OWN, bytes(4), ADDRESS)
    assert frame[:6] == b"\xff" * 6 and frame[6:12] == OWN and len(frame) == 42
    assert answer_in(frame, OTHER) is None, "RFC 5227: a probe has no sender's address"
    assert answer_in(question(OWN, ADDRESS.packed, ADDRESS), OTHER) == (ADDRESS, "02:00:00:00:00:01")


@pytest.mark.parametrize("operation", [1, 2])
def test_an_announcement_says_who_has_an_address(operation: int) -> None:
    link = Link(index=3, name="eth1", kind="", is_up=True, mtu=1500, mac="02:00:00:00:00:02")
    frame = announcement(link, ADDRESS, operation)
    assert answer_in(frame, OWN) == (ADDRESS, "02:00:00:00:00:02")
    assert answer_in(frame, OTHER) is None, "our own frame"


@pytest.mark.parametrize("frame", [b"", b"\0" * 60, question(OWN, bytes(4), ADDRESS)[:41]])
def test_what_is_no_answer_says_nothing(frame: bytes) -> None:
    assert answer_in(frame, OWN) is None


def test_who_asks_in_nobodys_name_for_a_held_address_is_answered_and_nobody_else() -> None:
    link = Link(index=3, name="eth1", kind="", is_up=True, mtu=1500, mac="02:00:00:00:00:02")
    answer = defence(question(OWN, bytes(4), ADDRESS), link, {ADDRESS})
    assert answer is not None and answer[:6] == OWN
    assert answer_in(answer, OWN) == (ADDRESS, "02:00:00:00:00:02")
    assert defence(question(OWN, bytes(4), ADDRESS), link, set()) is None, "it is free"
    assert defence(question(OWN, ip_address("203.0.113.9").packed, ADDRESS), link, {ADDRESS}) is None, "the kernel does"
    assert defence(question(OTHER, bytes(4), ADDRESS), link, {ADDRESS}) is None, "our own question"
    assert defence(answer, link, {ADDRESS}) is None
    assert defence(b"", link, {ADDRESS}) is None
