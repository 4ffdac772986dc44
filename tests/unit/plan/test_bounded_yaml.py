"""What a tenant writes as YAML is read in bounded time and memory: faults 12 and 13, and their brothers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.virtualservers import a_secret, a_server
from virtualserver.plan import bounded_yaml, cloud_config, formats
from virtualserver.plan.user_data import user_data_of

if TYPE_CHECKING:
    from collections.abc import Iterable

KIB_900 = 900 * 1024


def doubled(count: int, *, as_mappings: bool = False) -> str:
    """Return a text whose aliases stand for two to the power of count nodes."""
    form = "{{<<: [*a{0}, *a{0}]}}" if as_mappings else "[*a{0}, *a{0}]"
    lines = [f"a{number + 1}: &a{number + 1} " + form.format(number) for number in range(count)]
    return "\n".join(["a0: &a0 {k: v}", *lines, ""])


def one_hash(count: int) -> str:
    """Return a mapping whose keys are numbers that Python hashes alike."""
    return "a: {" + ", ".join(f"{(2**61 - 1) * number}: a" for number in range(1, count)) + "}"


def filled(opening: str, piece: str, closing: str = "") -> str:
    """Return a text of one piece over and over, as large as the CRD lets in."""
    return opening + piece * ((KIB_900 - len(opening) - len(closing)) // len(piece.encode())) + closing


ATTACKS = {
    "fault 12: aliases that double 60 times, twice": doubled(60) + "users: [*a60, *a60]",
    "fault 12: merge keys that double 29 times": doubled(29, as_mappings=True),
    "fault 12: merge keys that double 60 times": doubled(60, as_mappings=True),
    "aliases of a long text": "a: &a '" + "x" * 500_000 + "'\nb: [" + "*a, " * 5000 + "]",
    "a chain of aliases": "a0: &a0 [a]\n" + "\n".join(f"a{n + 1}: &a{n + 1} [*a{n}]" for n in range(3000)),
    "users that are all alike": "users: [" + "{name: bob, k: [x]}, " * 40_000 + "]",
    "users without a name": "users: [" + "{k: x}, " * 100_000 + "]",
    "keys of one hash": one_hash(20_000),
    "many tags": "".join(f"%TAG !{number}! x\n" for number in range(40_000)) + "--- {a: b}",
    "a number in base 60": filled("a: 1", ":1"),
    "a fraction in base 60": filled("a: 1", ":1", ".0"),
    "a long number": filled("a: ", "9"),
    "a long hexadecimal number": filled("a: 0x", "f"),
    "a long octal number": filled("a: 0", "7"),
    "a long fraction": filled("a: .", "9"),
    "a long time": filled("a: 2020-01-01 01:01:01.", "9"),
    "underscores": filled("a: 1", "_"),
    "many values": filled("a: [", "a, ", "]"),
    "many keys": filled("", "? a\n"),
    "many documents": filled("a: b\n", "---\n"),
    "a fault at the end": filled("a: [", "a, "),
    "deep": filled("a: ", "["),
    "deep in blocks": filled("a:\n  ", "- "),
    "lines": filled("a: ", "b\n  "),
    "escapes": filled('a: "', "\\x41", '"'),
    "long blank": filled("a: |\n", "\n"),
    "tags on tags": filled("a: ", "!a "),
    "control characters": filled("a: ", "\x01"),
    "flow keys": filled("a: {", "? ", "}"),
}


@pytest.mark.parametrize("where", ["cloudInit", "cloudInitSecretRef"])
@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in ATTACKS.items()])
def test_nothing_that_is_written_takes_a_second(text: str, where: str) -> None:
    """Fault 12 and its brothers; processor time, since others share this machine."""
    users = [{"username": "bob", "sshpublickey": "ssh-ed25519 A"}]
    secrets = {"big": a_secret("big", userdata=text)}
    fields: dict[str, Any] = {"cloudInit": text} if where == "cloudInit" else {"cloudInitSecretRef": {"name": "big"}}
    server = a_server(users=users, **fields)
    began = time.process_time()
    found = user_data_of(server, secrets)
    assert time.process_time() - began < 1
    assert found.text is not None or [fault.path for fault in found.bad_cloud_init] == [f"spec.{where}"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            doubled(60),
            "has more than 10000 keys and values (what aliases stand for counts each time) in line 12, column 12",
        ),
        (doubled(60, as_mappings=True), "has more than 10000 keys and values (what aliases stand for counts"),
        ("a: [" + "a," * 20_000 + "]", "has more than 10000 keys and values (what aliases stand for counts each time)"),
        ("a: &a " + "x" * 600_000 + "\nb: [*a]", "has more than 1048576 characters of keys and values"),
        ("a: &a [b, *a]", "has an alias for what contains it in line 1, column 11"),
        ("a: &a {<<: *a}", "has an alias for what contains it in line 1, column 12"),
        ("\n".join(["%TAG !a! x"] * 9), "has more than 8 lines that begin with %"),
        ("a: " + "1" * 1001, "has a number of more than 1000 characters in line 1, column 4"),
        ("a: {" + "1" * 21 + ": b}", "has a key that is a number of more than 20 characters in line 1, column 5"),
        ("a: {b: !!bool x}", "has a value that is no bool in line 1, column 8"),
        ("a: !!int ''", "has a value that is no int in line 1, column 4"),
        ("a: !!float ''", "has a value that is no float in line 1, column 4"),
        ("a: !!timestamp x", "has a value that is no timestamp in line 1, column 4"),
        ("a: 2020-99-99", "has a value that is no timestamp in line 1, column 4"),
        ("a: " + ":".join(["1"] * 400) + ".0", "has a value that is no float in line 1, column 4"),
        ("a: 0x" + "f" * 5000, "has a number of more than 1000 characters in line 1, column 4"),
        ("a: !!binary ä", "is no YAML in line 1, column 4 (failed to convert base64 data into ascii"),
        ("a: \x00", "is no YAML (unacceptable character"),
        ("a: \x1b[2J", "is no YAML (unacceptable character"),
        ('a: "\\ud800"', "is no YAML in line 1, column 7"),
        ("a: !!python/object:x {}", "is no YAML in line 1, column 4 (could not determine a constructor"),
        ("a: [", "is no YAML in line "),
        ("a: b: c", "is no YAML in line 1, column 5"),
        ("{[a]: b}: c", "is no YAML in line 1, column"),
    ],
)
def test_what_is_beyond_a_bound_or_no_value_is_refused_with_its_place(text: str, words: str) -> None:
    """Faults 12 and 13."""
    with pytest.raises(bounded_yaml.YAMLFault) as caught:
        bounded_yaml.load(text)
    assert words in str(caught.value)
    assert str(caught.value).startswith(caught.value.outline)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &x 1\nb: *x", {"a": 1, "b": 1}),
        ("a: &a {k: v}\nb: {<<: *a, c: d}", {"a": {"k": "v"}, "b": {"k": "v", "c": "d"}}),
        ("a: 0xff\nb: 1:30\nc: 2020-01-01 00:00:00\nd: !!binary aGk=", None),
        ("a: " + "[" * 98 + "]" * 98, None),
        ("%YAML 1.1\n---\na: b", {"a": "b"}),
        ("a: |\n  %TAG\n  %TAG\n" * 1, {"a": "%TAG\n%TAG\n"}),
        ("a: [" + "a," * 9_000 + "]", None),
        (f"{2**63}: b", {2**63: "b"}),
        (f"a: {'1' * 1000}", {"a": int("1" * 1000)}),
    ],
)
def test_what_keeps_the_bounds_is_read_as_yaml_is(text: str, value: object) -> None:
    assert bounded_yaml.load(text) == (value or yaml.safe_load(text))


def tokens(pieces: Iterable[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(list(pieces)), max_size=30).map("".join)


PIECES = [
    *"abx:0179-_.,[]{}?*&!|>%@`\"'#~<= \n\t\\\0\x1b\x85\u2028\ufeffé",
    *("a: ", "- ", "\n  ", "*a", "&a ", "<<: ", "!!int ", "!!bool ", "!!set ", "!!omap ", "!!pairs ", "!!binary "),
    *("!!timestamp ", "!!float ", "0x", "0b", "1e9", ".inf", ".nan", "2001-01-01", "---", "...", "\\ud800", "users: "),
]


@settings(max_examples=150, deadline=None)
@given(st.one_of(tokens(PIECES), st.text(max_size=60)))
def test_any_text_is_merged_or_refused_and_raises_nothing(text: str) -> None:
    """Fault 13: whatever it is, it is a condition, and what is merged can be read again."""
    found = user_data_of(a_server(cloudInit=text, users=[{"username": "bob"}]), {})
    assert (found.text is None) == bool(found.bad_cloud_init)
    if found.text is not None:
        ours, _ = formats.split(found.text)
        cloud_config.load(ours)
