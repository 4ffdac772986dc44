"""Which Services are looked at again, and what is told, when the uplink was asked for addresses."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from typing import TYPE_CHECKING, cast

import pytest

from virtualserver.kube import kinds
from virtualserver.kube.cache import Cache
from virtualserver.node.allocation.vacancies import THIS_MACHINE, Vacancies
from virtualserver.node.prober import Prober
from virtualserver.node.queues import Queues
from virtualserver.node.watches import WATCHES

if TYPE_CHECKING:
    from virtualserver.fabric.dataplane import DataPlane
    from virtualserver.fabric.desired.state import Address
    from virtualserver.kube.client import Client
    from virtualserver.node.allocation.addresses import Addresses

ONE, TWO, OWN = (ipaddress.ip_address(f"203.0.113.{number}") for number in (1, 2, 3))
MAC = "02:00:00:00:00:99"


class Link:
    """A link with a neighbour, and the machine's own address on it, as the data plane tells of them."""

    def __init__(self) -> None:
        self.asked: list[set[Address]] = []
        self.answers: dict[Address, str] | None = {ONE: MAC}

    async def probe(self, addresses: list[Address]) -> dict[Address, str] | None:
        self.asked.append(set(addresses))
        return self.answers

    def own_among(self, addresses: list[Address]) -> set[Address]:
        return {OWN} & set(addresses)

    def to_probe(self) -> list[Address]:
        return [ONE, TWO, OWN]


@pytest.fixture
async def cache() -> Cache:
    cache = Cache(cast("Client", None), WATCHES)
    metadata = {"namespace": "ns", "name": "web-tcp", "uid": "u", "resourceVersion": "1"}
    cache.remember(kinds.SERVICE, {"kind": "Service", "metadata": metadata, "spec": {}})
    return cache


async def test_who_has_an_address_is_told_once_and_services_are_looked_at_again(cache: Cache) -> None:
    link, vacancies, queues = Link(), Vacancies(), Queues()
    prober = Prober(cache, queues, vacancies, cast("Addresses", link), cast("DataPlane", link))
    async with contextlib.aclosing(prober.found()) as found:
        assert await anext(found) == {ONE: MAC, OWN: THIS_MACHINE}
        assert vacancies.occupant(TWO) == ""
        assert await queues.services.get() == ("ns", "web-tcp")
        queues.services.done(("ns", "web-tcp"))
        link.answers = {}
        vacancies.ask([TWO])
        assert await anext(found) == {ONE: ""}
    assert link.asked == [{ONE, TWO, OWN}] * 2


async def test_a_link_that_is_not_there_frees_no_address(cache: Cache) -> None:
    link, vacancies = Link(), Vacancies()
    link.answers = None
    prober = Prober(cache, Queues(), vacancies, cast("Addresses", link), cast("DataPlane", link))
    vacancies.ask([TWO])

    looking = asyncio.ensure_future(anext(prober.found()))
    while not link.asked:
        await asyncio.sleep(0)
    assert vacancies.occupant(TWO) is None
    link.answers = {TWO: MAC}
    assert (await looking)[TWO] == MAC
