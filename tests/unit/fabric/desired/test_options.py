"""How much of a resolver fits into DHCP, and that no line for dnsmasq is read as two."""

from __future__ import annotations

import pytest

from virtualserver.fabric.desired.options import LONGEST_LINE, LineTooLong, carried, content, domain
from virtualserver.fabric.desired.state import Resolver


def test_a_line_that_dnsmasq_would_read_as_two_is_refused() -> None:
    assert content(["a" * LONGEST_LINE]) == "a" * LONGEST_LINE + "\n"
    for line in ("a" * (LONGEST_LINE + 1), "tag:one,26,600\n26,600"):
        with pytest.raises(LineTooLong, match="nothing of it is written"):
            content(["tag:one,12,web", line])


def test_searches_fill_the_255_bytes_of_an_option_and_shared_ends_count_once() -> None:
    different = tuple(f"{letter}{'x' * 59}.test" for letter in "abcde")  # 61 + 5 + 1, then 61 + 2
    assert carried(Resolver((), different)).searches == different[:3]
    alone = tuple(f"{letter}{'x' * 61}" for letter in "abcde")  # 64 each, so the fourth would make 256
    assert carried(Resolver((), alone)).searches == alone[:3]
    alike = ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", *(f"n{n}.example.org" for n in range(9)))
    assert carried(Resolver((), alike)).searches == alike


def test_what_has_no_room_is_left_out_from_the_first_on() -> None:
    searches = ("a.test", *(letter * 63 for letter in "bcdef"), "b.test")
    assert carried(Resolver((), searches)).searches == searches[:4]


def test_who_knows_no_search_list_is_told_the_first_where_there_is_room() -> None:
    assert domain(("team.svc.cluster.local", "svc.cluster.local")) == "team.svc.cluster.local"
    assert domain(()) == ""
    assert domain(("a" * 62, "b" * 62, "c" * 60)) == "a" * 62
    assert domain(("a" * 62, "b" * 62, "c" * 62)) == ""
