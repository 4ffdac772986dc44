from __future__ import annotations

import json
import time

import pytest

from harness.json_web_tokens import a_token
from virtualserver.console.entrance import Entrance
from virtualserver.console.gateway import NobodyError
from virtualserver.kube.kubeconfig import Credentials

NOWHERE = Credentials("http://127.0.0.1:1")


def ended(seconds_ago: float) -> str:
    return a_token(json.dumps({"exp": time.time() - seconds_ago}))


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("", "this is no bearer token: paste it whole, and nothing else"),
        ("Bearer abc", "this is no bearer token"),
        ("abc\r\nImpersonate-User: root", "this is no bearer token"),
        ("abc\x00", "this is no bearer token"),
        ("gehört", "this is no bearer token"),
        ("a" * 20_000, "this is no bearer token"),
        (ended(5), "the token has ended at 20"),
        (ended(1e30), "the token has ended long ago: get a new one"),
        ("abc", "http://127.0.0.1:1 does not answer: "),
    ],
)
async def test_a_token_that_nobody_takes_is_refused_with_the_reason_and_not_repeated(token: str, told: str) -> None:
    with pytest.raises(NobodyError) as refused:
        await Entrance(NOWHERE).by_token(token)
    assert told in str(refused.value) and (len(token) < 6 or token not in str(refused.value))


async def test_where_no_tokens_are_taken_none_is() -> None:
    with pytest.raises(NobodyError, match="nobody signs in by a token here"):
        await Entrance().by_token("abc")


async def test_a_session_ends_with_its_token() -> None:
    entrance = Entrance()
    session = await entrance.by_code(entrance.issue(Credentials("http://127.0.0.1:1", token=ended(-60)), user="ada"))
    assert session and 55 < entrance.remaining(session) <= 60
    await entrance.close()
