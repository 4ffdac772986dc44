"""The way of packets to a server as JSON, and back."""

from __future__ import annotations

import json

import pytest

from harness.network_paths import PATH
from virtualserver.api.network_path import decode, encode


def test_json_says_the_whole_of_it() -> None:
    text = json.dumps(encode(PATH))
    assert decode(json.loads(text)) == PATH
    assert json.loads(text)["addresses"][0]["ports"][0]["loss"]["place"] == "Port"


def test_what_is_none_is_refused_with_the_field() -> None:
    with pytest.raises(ValueError, match="addresses"):
        decode({**encode(PATH), "addresses": "none"})
