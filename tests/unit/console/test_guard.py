from __future__ import annotations

import pytest

from virtualserver.console.guard import HEADERS, OF_TERMINALS, Asked, is_token, refusal

HOST = "127.0.0.1:8080"
OURS = f"http://{HOST}"
ORIGINS = (OURS, "http://localhost:8080")


@pytest.mark.parametrize(
    "asked",
    [
        Asked("GET", HOST),  # a program, or a browser of old
        Asked("GET", HOST, site="same-origin"),
        Asked("GET", HOST, site="none"),  # typed into the address bar
        Asked("GET", HOST, site="cross-site", enters=True),  # a link in a mail
        Asked("POST", HOST, origin=OURS, site="same-origin"),
        Asked("GET", HOST, origin=OURS, is_socket=True),
        Asked("PUT", "localhost:8080", origin="http://localhost:8080"),
    ],
)
def test_what_a_page_of_ours_asks_is_let_in(asked: Asked) -> None:
    assert refusal(asked, origins=ORIGINS) == ""


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Asked("GET", "attacker.example"), "Host"),
        (Asked("GET", "127.0.0.1"), "Host"),
        (Asked("GET", "127.0.0.1:8081"), "Host"),
        (Asked("GET", ""), "Host"),
        (Asked("GET", "attacker.example", enters=True), "Host"),
        (Asked("POST", HOST, origin="http://attacker.example"), "Origin"),
        (Asked("POST", HOST, origin="http://127.0.0.1:8081"), "Origin"),
        (Asked("POST", HOST, origin="http://localhost:8080"), "Origin"),
        (Asked("POST", HOST, origin="null"), "Origin"),
        (Asked("GET", HOST, origin="https://127.0.0.1:8080"), "Origin"),
        (Asked("POST", HOST), "Origin"),
        (Asked("DELETE", HOST, site="same-origin"), "Origin"),
        (Asked("GET", HOST, is_socket=True), "Origin"),
        (Asked("GET", HOST, site="cross-site"), "Sec-Fetch-Site"),
        (Asked("GET", HOST, site="same-site"), "Sec-Fetch-Site"),
    ],
)
def test_what_another_page_can_have_asked_is_refused(asked: Asked, field: str) -> None:
    assert refusal(asked, origins=ORIGINS).startswith(f"{field}: ")


def test_a_token_is_the_sessions_or_none() -> None:
    assert is_token("abc", "abc")
    assert not is_token("", "abc") and not is_token("abcd", "abc") and not is_token("ü", "abc")
    assert not is_token(b"\xff".decode(errors="surrogateescape"), "abc"), "a byte of a header that is no UTF-8"


def test_pages_run_our_scripts_alone_and_are_nobodys_frame() -> None:
    policy = HEADERS["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_the_terminals_page_may_style_itself_and_nothing_more() -> None:
    of_others, of_terminals = (one["Content-Security-Policy"].split("; ") for one in (HEADERS, OF_TERMINALS))
    assert set(of_terminals) ^ set(of_others) == {"style-src 'self'", "style-src 'self' 'unsafe-inline'"}
