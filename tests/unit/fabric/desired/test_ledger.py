"""The ledger: one owner's change is the smallest change, and what is shared stays until the last lets go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from virtualserver.fabric.desired.ledger import Entry, Ledger, Owner, difference

ENTRIES = st.dictionaries(
    st.builds(Entry, st.sampled_from(["published", "route"]), st.sampled_from(["a", "b", "c", "d"])),
    st.sampled_from(["", "1", "2"]),
    max_size=4,
)


@given(st.lists(st.tuples(st.sampled_from(["x", "y", "z"]), ENTRIES), max_size=12))
def test_the_deltas_lead_to_what_is_asked_for(changes: list[tuple[str, dict[Entry, str]]]) -> None:
    ledger, kernel = Ledger(), dict[Entry, str]()
    for owner, entries in changes:
        delta = ledger.put(Owner("link", owner), entries)
        for entry, value in delta.removed.items():
            assert kernel.pop(entry) == value
        assert not kernel.keys() & delta.added.keys()
        kernel.update(delta.added)
        assert kernel == ledger.entries()
        assert len(ledger.put(Owner("link", owner), entries)) == 0


@given(ENTRIES, ENTRIES)
def test_a_difference_turns_one_state_into_the_other(before: dict[Entry, str], after: dict[Entry, str]) -> None:
    delta = difference(before, after)
    kept = {entry: value for entry, value in before.items() if entry not in delta.removed}
    assert {**kept, **delta.added} == after
    assert len(difference(after, after)) == 0


def test_a_shared_entry_stays_until_its_last_owner_lets_go() -> None:
    ledger, address = Ledger(), Entry("announced", "203.0.113.7")
    assert ledger.put(Owner("service", "tcp"), {address: ""}).added == {address: ""}
    assert len(ledger.put(Owner("service", "udp"), {address: ""})) == 0
    assert len(ledger.put(Owner("service", "tcp"), {})) == 0
    assert ledger.put(Owner("service", "udp"), {}).removed == {address: ""}


def test_who_came_first_is_served_and_the_next_takes_over() -> None:
    ledger, port = Ledger(), Entry("published", "203.0.113.7 . tcp . 22")
    ledger.put(Owner("service", "first"), {port: "10.42.0.2 . 22"})
    assert len(ledger.put(Owner("service", "second"), {port: "10.42.0.3 . 22"})) == 0
    delta = ledger.put(Owner("service", "first"), {})
    assert (delta.removed, delta.added) == ({port: "10.42.0.2 . 22"}, {port: "10.42.0.3 . 22"})
    assert len(delta) == 1


def test_a_group_has_what_somebody_asks_for_and_nothing_else() -> None:
    ledger = Ledger(lambda entry: entry.key[0] if entry.kind == "a" else "")
    one, two, other = Entry("a", "x1"), Entry("a", "x2"), Entry("b", "x3")
    ledger.put(Owner("service", "first"), {one: "", two: "", other: ""})
    ledger.put(Owner("service", "second"), {one: "7"})
    assert ledger.group("x") == {one, two}
    ledger.put(Owner("service", "first"), {})
    assert ledger.group("x") == {one}
    ledger.put(Owner("service", "second"), {})
    assert ledger.group("x") == frozenset() == ledger.group("")
