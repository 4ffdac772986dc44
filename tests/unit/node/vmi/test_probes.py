"""Probes change their mind after their thresholds."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast

import pytest

from virtualserver.api.support.probe import is_asked_from_outside
from virtualserver.kube.queue import Queue
from virtualserver.node.vmi import probes
from virtualserver.node.vmi.probes import Health, Probes, Tally, request_of

if TYPE_CHECKING:
    from virtualserver.fabric.desired.state import GuestLink


def said(tally: Tally, results: str) -> str:
    return "".join("y" if tally.record(result == "+") or tally.passes else "n" for result in results)


@pytest.mark.parametrize(
    ("tally", "results", "states"),
    [
        (Tally(False), "-+", "ny"),
        (Tally(False, success_threshold=2), "+-++", "nnny"),
        (Tally(True, failure_threshold=3), "--+--+", "yyyyyy"),
    ],
)
def test_thresholds_count_results_in_a_row(tally: Tally, results: str, states: str) -> None:
    assert said(tally, results) == states


def test_the_change_itself_is_told_once() -> None:
    tally = Tally(True, failure_threshold=2)
    assert [tally.record(False) for _ in range(4)] == [False, True, False, False]
    assert tally.passes is False


def test_an_http_request_has_its_path_host_and_headers() -> None:
    get = {
        "path": "/healthz",
        "port": 80,
        "httpHeaders": [{"name": "Host", "value": "a.test"}, {"name": "X", "value": "1"}],
    }
    lines = request_of(get, "10.0.0.1").decode().split("\r\n")
    assert lines[0] == "GET /healthz HTTP/1.1"
    assert "Host: a.test" in lines
    assert "X: 1" in lines
    assert lines[-2:] == ["", ""]
    assert b"Host: 10.0.0.1" in request_of({"port": 80}, "10.0.0.1")


def test_only_network_probes_are_run() -> None:
    assert is_asked_from_outside({"tcpSocket": {"port": 22}})
    assert not is_asked_from_outside({"exec": {"command": ["true"]}})
    assert not is_asked_from_outside({"guestAgentPing": {}})


class Link:
    """A guest's link: this machine's loopback."""

    addresses = (ip_address("127.0.0.1"),)


async def asked(probe: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *, times: int) -> tuple[list[float], str]:
    """Return the pauses that the probe of a guest that answers nothing makes, and its last answer."""
    pauses: list[float] = []
    enough, sleep = asyncio.Event(), asyncio.sleep

    async def slept(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) >= times:
            enough.set()
            await asyncio.Event().wait()
        await sleep(0)

    monkeypatch.setattr(probes.asyncio, "sleep", slept)
    vmi = {"metadata": {"namespace": "m", "name": "web", "uid": "u"}, "spec": {"readinessProbe": probe}}
    found = Probes(Queue[tuple[str, str]](), lambda family: socket.socket(socket.AF_INET))
    assert found.health(vmi, cast("GuestLink", Link())) is Health.NOT_READY
    async with asyncio.timeout(60):
        await enough.wait()
    answer = found.answer("u")
    found.forget("u")
    return pauses, answer


async def test_a_probe_that_asks_for_no_pause_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A brother of fault 12: a period of -1 s had the node ask, and do nothing else, for ever."""
    probe = {"tcpSocket": {"port": 1}, "periodSeconds": -1, "initialDelaySeconds": -5, "timeoutSeconds": -3}
    pauses, _ = await asked(probe, monkeypatch, times=3)
    assert pauses == [0, 1, 1]


async def test_a_port_that_is_none_ends_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A brother of fault 13: its task ended with a fault that nobody was told of."""
    pauses, answer = await asked({"tcpSocket": {"port": 70000}}, monkeypatch, times=3)
    assert pauses == [0, 10, 10]
    assert answer == "port 70000: no port number"
