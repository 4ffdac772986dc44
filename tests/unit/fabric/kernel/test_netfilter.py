"""What libnftables says of a refused transaction, and which element it means."""

from __future__ import annotations

import pytest

from virtualserver.fabric.kernel.netfilter import refused_element

_LINE = "add element inet t m { 192.0.2.1 : 10.0.0.1, 192.0.2.2 : 10.0.0.1 };delete element inet t s { 192.0.2.3 }"


@pytest.mark.parametrize("element", ["192.0.2.2", "192.0.2.3"])
def test_the_element_below_which_the_carets_are_is_the_refused_one(element: str) -> None:
    marks = " " * _LINE.index(element) + "^" * len(element)
    assert refused_element(f"Error: Could not process rule: File exists\n{_LINE}\n{marks}\n") == element


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Error: syntax error, unexpected newline",
        "Error: No such file or directory\nlist table inet absent\n                ^^^^^^",
        "Error: Could not process rule: Operation not permitted\n",
    ],
)
def test_an_error_that_points_to_no_element_names_none(said: str) -> None:
    assert refused_element(said) == ""
