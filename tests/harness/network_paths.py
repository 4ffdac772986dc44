"""Ways of packets as a node tells them, for what is shown without a node."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from virtualserver.api import names
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
    encode,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

__all__ = ["CARD", "PATH", "REFUSED", "answered_with", "path_of_a_shop"]

REFUSED = Loss(LossPlace.PORT, "nothing in the guest listens", "look what listens")
CARD = Card("default", "", "02:00:00:00:00:02", True, "2026-11-27T10:00:00Z", "02:00:00:00:00:02", {"mac": 3})
PATH = NetworkPath(
    "shop",
    "web",
    addresses=(
        AddressPath(
            *("203.0.113.1", "ports", "web-tcp", "public", ("192.0.2.0/24",), Element.NONE),
            ports=(
                PortPath(80, "TCP", 8080, Element.OPEN, Answer.REFUSED, REFUSED),
                PortPath(53, "UDP", 53, Element.OPEN, Answer.NOT_ASKED),
            ),
        ),
        AddressPath("10.42.0.2", "own", "", "", None, Element.OPEN),
    ),
    names=("web-tcp.shop.svc.cluster.local",),
    guest=Guest(True, "", (CARD,)),
    loss=REFUSED,
)
"""Of a server with a port on which nothing listens: `REFUSED`; its one card is `CARD`."""


def answered_with(page: Page, path: NetworkPath) -> None:
    """Have every server that a page asks about have this path."""
    told = json.dumps({"kind": "NetworkPath", "status": encode(path)})

    def answer(route: Route) -> None:
        route.fulfill(body=told, content_type="application/json")

    page.route(f"**/{names.NETWORK_GROUP}/**/path", answer)


def path_of_a_shop(namespace: str) -> NetworkPath:
    """Return a path that has a way of each kind, and a port on which nothing listens."""
    refused = Loss(
        LossPlace.PORT,
        "the guest refuses: nothing in it listens on this port for others (127.0.0.1 alone is not enough)",
        f"look what listens: vs ssh web -n {namespace} -- sudo ss -ltnp; have the program bind to 0.0.0.0",
    )
    ports = (
        PortPath(22, "TCP", 22, Element.OPEN, Answer.ANSWERS),
        PortPath(443, "TCP", 8443, Element.OPEN, Answer.REFUSED, refused),
        PortPath(51820, "UDP", 51820, Element.OPEN, Answer.NOT_ASKED),
    )
    office = PortPath(9090, "TCP", 9090, Element.OPEN, Answer.ANSWERS)
    addresses = (
        AddressPath("203.0.113.4", "ports", "web-tcp", "public", None, Element.NONE, ports),
        AddressPath("203.0.113.9", "floating", "shop-address", "public", None, Element.OPEN),
        AddressPath("198.18.0.7", "ports", "metrics", "private", ("10.0.0.0/8",), Element.NONE, (office,)),
        AddressPath("10.42.0.5", "own", "", "", None, Element.OPEN),
    )
    mac, lease = "02:5d:1f:00:00:05", "2026-11-15T08:00:00Z"
    cards = (
        Card("pod", "", mac, whole=True, lease=lease, heard=mac, dropped={"spoofed": 3}),
        Card("net1", "backend", "02:5d:1f:00:01:05", whole=True, lease="", heard="", dropped={}),
    )
    inside = (f"web-tcp.{namespace}.svc.cluster.local",)
    return NetworkPath(namespace, "web", addresses, inside, Guest(runs=True, message="", cards=cards), refused)
