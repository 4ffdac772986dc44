from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtualserver.api.mac import MacKey, unkeyed

KEY = MacKey(bytes(range(32)), {})


@given(st.text(max_size=60), st.binary(min_size=32, max_size=32))
def test_a_derived_address_is_local_unicast_and_always_the_same(name: str, key: bytes) -> None:
    for address in (MacKey(key, {}).of_server("ns", name, uid="u"), MacKey(key, {}).of_machine(name), unkeyed(name)):
        assert len(address) == 17 and address[1] in "26ae"
    assert MacKey(key, {}).of_server("ns", name, uid="u") == MacKey(key, {}).of_server("ns", name, uid="another")


def test_derived_addresses_of_many_servers_are_distinct() -> None:
    addresses = {KEY.of_server(f"tenant-{number % 10}", f"vs{number}", uid="u") for number in range(10_000)}
    assert len(addresses) == 10_000


def test_nobody_computes_an_address_from_a_name_alone() -> None:
    other = MacKey(bytes(32), {})
    found = {KEY.of_server("default", "web", uid="u"), other.of_server("default", "web", uid="u")}
    assert len(found) == 2
    assert unkeyed("default/web") not in found


def test_what_a_vpc_has_follows_from_the_key_and_from_each_name_alone() -> None:
    other = MacKey(bytes(32), {})
    cards = [("ns", "web", "a"), ("another", "web", "a"), ("ns", "db", "a"), ("ns", "web", "b")]
    assert len({other.of_vpc(*cards[0]), *(KEY.of_vpc(*card) for card in cards)}) == 5
    networks = [("ns", "a"), ("another", "a"), ("ns", "b")]
    assert len({other.bridge_of(*networks[0]), *(KEY.bridge_of(*network) for network in networks)}) == 4
    again = MacKey(KEY.key, {"u": KEY.of_vpc(*cards[0])})
    assert again.of_vpc(*cards[0]) == KEY.of_vpc(*cards[0]) and again.bridge_of("ns", "a") == KEY.bridge_of("ns", "a")


@pytest.mark.parametrize(
    ("recorded", "present"),
    [({"u": "82:b3:ad:e9:d0:0c"}, None), ({}, "82:b3:ad:e9:d0:0c")],
    ids=["its guest ran", "its machine was made"],
)
def test_the_address_that_an_earlier_version_derived_stays(recorded: dict[str, str], present: str | None) -> None:
    assert unkeyed("default/web") == "82:b3:ad:e9:d0:0c"
    key = MacKey(KEY.key, recorded)
    assert key.of_server("default", "web", uid="u", present=present) == "82:b3:ad:e9:d0:0c"
    former = unkeyed("uid-of-vm")
    assert MacKey(KEY.key, {"uid-of-vm": former}).of_machine("uid-of-vm") == former


@pytest.mark.parametrize("recorded", [{"u": "a2:1f:ee:09:06:5d"}, {"another": "82:b3:ad:e9:d0:0c"}])
def test_an_address_that_a_manifest_named_once_or_that_another_had_does_not(recorded: dict[str, str]) -> None:
    key = MacKey(KEY.key, recorded)
    assert key.of_server("default", "web", uid="u", present="a2:1f:ee:09:06:5d") == KEY.of_server(
        "default", "web", uid="u"
    )


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"key": "xx", "recorded": {}}', '{"key": "00", "recorded": 1}'])
def test_a_file_that_is_no_key_says_what_to_do(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no MAC key .*: restore it from a backup"):
        MacKey.decode(text)


def test_the_key_is_in_no_message() -> None:
    assert KEY.key.hex() not in repr(KEY) and repr(KEY.key) not in repr(KEY)
