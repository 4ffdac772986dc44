"""What Ready says in the table of `kubectl get vs`, and where the rest of it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import situations
from virtualserver.api.conditions import MOST_LETTERS, brief, in_full, is_cut

EXAMPLES = situations.examples()
QUOTA = "Service web-tcp: exceeded quota: few, requested: services=1, used: services=3, limited: services=3"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("the machine is stopped; to start it: vs start web", "the machine is stopped; to start it: vs start web"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 98 + " …"),
        (f"{'a' * 61}; {'b' * 40}", "a" * 61 + " …"),
        (f"spec.network.macAddress: {'a' * 60}: choose another, please", f"spec.network.macAddress: {'a' * 60} …"),
        (f"{'word ' * 30}", "word " * 18 + "word …"),
        (f"{QUOTA} (the machine goes on as it was before)", f"{QUOTA} …"),
    ],
)
def test_a_message_ends_where_a_fault_an_item_or_a_word_ends(message: str, said: str) -> None:
    assert brief(message) == said


@given(st.text(max_size=300))
def test_no_message_is_longer_and_what_is_cut_is_marked(message: str) -> None:
    assert len(brief(message)) <= MOST_LETTERS
    assert (brief(message) == message) is (len(message) <= MOST_LETTERS)
    assert is_cut(brief(message)) or brief(message) == message


@pytest.mark.parametrize("name", EXAMPLES)
def test_ready_fits_the_table_in_every_situation_and_fully_applied_has_the_rest(name: str) -> None:
    """Fault 30: it had 300 letters for a server that was merely stopped."""
    words = EXAMPLES[name].conditions
    ready, applied = (words[type_].split(" ", 2)[2] for type_ in ("Ready", "FullyApplied"))
    assert len(ready) <= 100
    assert not is_cut(ready) or applied.startswith(ready.removesuffix(" …"))


def test_what_ready_says_in_full_is_read_where_it_stands() -> None:
    ready: dict[str, Any] = {"type": "Ready", "message": "short"}
    applied: dict[str, Any] = {"type": "FullyApplied", "message": "long; all else"}
    assert in_full([ready, applied]) == "short"
    assert in_full([ready | {"message": "lo …"}, applied]) == "long; all else"
    assert in_full([ready | {"message": "lo …"}]) == "lo …"
    assert in_full([]) == ""
