from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from virtualserver.api import mac


@given(st.text(max_size=60))
def test_a_derived_address_is_local_unicast_and_always_the_same(text: str) -> None:
    address = mac.derive(text)
    assert len(address) == 17 and address[1] in "26ae"
    assert mac.derive(text) == address


def test_derived_addresses_of_many_servers_are_distinct() -> None:
    addresses = {mac.derive(f"tenant-{number % 10}/vs{number}") for number in range(10_000)}
    assert len(addresses) == 10_000


def test_the_address_of_a_server_is_the_one_that_earlier_versions_derived() -> None:
    assert mac.derive("default/web") == "82:b3:ad:e9:d0:0c"
