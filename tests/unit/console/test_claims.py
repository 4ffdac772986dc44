from __future__ import annotations

import math

import pytest

from harness.json_web_tokens import a_token
from virtualserver.console.claims import claims_of, end_of


def test_what_a_token_says_is_read() -> None:
    assert claims_of(a_token('{"iss": "https://login.example.org", "exp": 1}')) == {
        "iss": "https://login.example.org",
        "exp": 1,
    }


@pytest.mark.parametrize(
    "text", ["", "opaque", "a.b", "a.b.c", "a.!.c", a_token("[1]"), a_token("{"), a_token("[" * 100_000)]
)
def test_what_is_no_json_web_token_says_nothing(text: str) -> None:
    assert claims_of(text) == {}
    assert end_of(text) == math.inf


@pytest.mark.parametrize(
    ("said", "end"),
    [
        ("1700000000", 1_700_000_000),
        ("1700000000.5", 1_700_000_000.5),
        ("-1", -1),
        ('"soon"', math.inf),
        ("true", math.inf),
        ("null", math.inf),
        ("NaN", math.inf),
        ("9" * 400, 1 << 62),
    ],
)
def test_when_a_token_ends(said: str, end: float) -> None:
    assert end_of(a_token(f'{{"exp": {said}}}')) == end
