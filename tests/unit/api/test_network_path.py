"""The way of packets to a server as JSON, and back."""

from __future__ import annotations

import json

import pytest

from virtualserver.api.network_path import (
    AddressPath,
    Answer,
    Card,
    Element,
    Guest,
    Loss,
    LossPlace,
    NetworkPath,
    PortPath,
    decode,
    encode,
)

REFUSED = Loss(LossPlace.PORT, "it refuses", "look")
PATH = NetworkPath(
    namespace="shop",
    name="web",
    addresses=(
        AddressPath(
            *("203.0.113.1", "ports", "web-tcp", "public", ("192.0.2.0/24",), Element.NONE),
            ports=(
                PortPath(80, "TCP", 8080, Element.OPEN, Answer.REFUSED, Loss(LossPlace.PORT, "it refuses", "look")),
            ),
        ),
        AddressPath("10.42.0.2", "own", "", "", None, Element.OPEN),
    ),
    names=("web-tcp.shop.svc.cluster.local",),
    guest=Guest(True, "", (Card("default", "", "02:00:00:00:00:02", True, "", "", {"mac": 3}),)),
    loss=REFUSED,
)


def test_json_says_the_whole_of_it() -> None:
    text = json.dumps(encode(PATH))
    assert decode(json.loads(text)) == PATH
    assert json.loads(text)["addresses"][0]["ports"][0]["loss"]["place"] == "Port"


def test_what_is_none_is_refused_with_the_field() -> None:
    with pytest.raises(ValueError, match="addresses"):
        decode({**encode(PATH), "addresses": "none"})
