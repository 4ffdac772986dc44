"""What a repair is called."""

from __future__ import annotations

from virtualserver.fabric.desired.ledger import Delta, Entry
from virtualserver.fabric.desired.repair import Repair, repairs_of
from virtualserver.fabric.kernel.elements import SETS


def test_one_thing_is_told_once_whatever_it_consists_of() -> None:
    tap = {Entry("tap", "vst-1"): "64001", Entry("tap-up", "vst-1"): ""}
    guard = {Entry("guard_mac", "vst-1 . 02:00:00:00:00:01"): "", Entry("self_pair", "vst-1 . vst-1"): ""}
    assert repairs_of(Delta({}, {**tap, **guard}), "namespace vs-x") == [
        Repair("tap vst-1", "namespace vs-x"),
        Repair("guard of vst-1", "namespace vs-x"),
    ]
    up = {Entry("tap-up", "vst-1"): ""}
    assert repairs_of(Delta({}, up), "namespace vs-x") == [Repair("tap vst-1", "namespace vs-x")]


def test_many_things_are_counted() -> None:
    ports = {Entry("published", f"203.0.113.7 . tcp . {port}"): "10.42.0.2 . 22" for port in range(1, 10_001)}
    assert repairs_of(Delta({}, ports), "host") == [Repair("published port 203.0.113.7 tcp 1 and 9999 more", "host")]


def test_nothing_is_told_of_nothing() -> None:
    assert repairs_of(Delta({}, {}), "host") == []


def test_what_stands_in_any_set_of_the_rules_has_words() -> None:
    for kind in SETS:
        assert repairs_of(Delta({}, {Entry(kind, "tap-2 . x"): ""}), "host"), kind
