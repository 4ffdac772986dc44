from __future__ import annotations

import base64
import math

import pytest

from virtualserver.console.claims import claims_of, end_of


def token(claims: str) -> str:
    return f"e30.{base64.urlsafe_b64encode(claims.encode()).decode().rstrip('=')}.c2lnbmF0dXJl"


def test_what_a_token_says_is_read() -> None:
    assert claims_of(token('{"iss": "https://login.example.org", "exp": 1}')) == {
        "iss": "https://login.example.org",
        "exp": 1,
    }


@pytest.mark.parametrize(
    "text", ["", "opaque", "a.b", "a.b.c", "a.!.c", token("[1]"), token("{"), token("[" * 100_000)]
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
    assert end_of(token(f'{{"exp": {said}}}')) == end
