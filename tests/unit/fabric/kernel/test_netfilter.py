"""What libnftables says of a refused transaction, and which element it means."""

from __future__ import annotations

import pytest

from virtualserver.fabric.kernel.netfilter import refused_element, rules_of

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


PRINTED = """\
table inet ours {
	set direct {
		type ipv4_addr
		elements = { 203.0.113.9,
				203.0.113.10 }
	}

	chain input {
		ip daddr { 169.254.1.1, 255.255.255.255 } accept
	}
}
table inet foreign {
	chain input {
	}
}
table arp ours {
	chain guard {
	}
}
"""


def test_rules_are_what_is_printed_of_our_tables_without_elements() -> None:
    text = rules_of(PRINTED, [("inet", "ours"), ("arp", "ours"), ("ip", "absent")])
    assert "203.0.113" not in text
    assert "foreign" not in text
    assert text == rules_of(PRINTED.replace("203.0.113.9,", "203.0.113.7,"), [("inet", "ours"), ("arp", "ours")])
    assert text != rules_of(PRINTED.replace("accept", "drop"), [("inet", "ours"), ("arp", "ours")])
    assert text.startswith("table inet ours {\n\tset direct {\n\t\ttype ipv4_addr\n\t}\n")
    assert text.endswith("table arp ours {\n\tchain guard {\n\t}\n}\n")


def test_a_port_that_is_spread_over_several_targets_makes_no_other_rules() -> None:
    spread = "\n\tchain spread_203.0.113.7_tcp_22 {\n\t\tmeta l4proto tcp dnat ip to 10.42.0.2:22\n\t}\n"
    ours = [("inet", "ours")]
    assert rules_of(PRINTED.replace("accept\n\t}\n", f"accept\n\t}}\n{spread}{spread}"), ours) == rules_of(
        PRINTED, ours
    )
